"""What an exported network says of image files.

A safetensors file is read as numbers and an ONNX file as a graph of known operations; neither can run anything else.
A pt2 file is another matter: `torch.export.load` falls back to unpickling and evaluates expressions of the file, so
that whoever made the file can run what they like. It is loaded only where the caller says that the file is trusted.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice, tee
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medarts_ops.config import DatasetConfig
from medarts_ops.data.image_files import reason_alone
from medarts_ops.data.image_stream import Read, read_one_by_one
from medarts_ops.errors import ConfigError, DataError, ExportError, named
from medarts_ops.export.formats import format_of, read_network
from medarts_ops.export.loaded import LoadedNetwork, Logits, Pixels
from medarts_ops.export.network import NetworkDescription

MAX_VALUES = 2**24
"""Numbers, of one image, in a map between the cells of a network that is not trusted, or of a batch: about 1 GB in all.

Full-size networks (36 channels) of 224×224 have 7 million, of 340×340 as many as are allowed."""

SHOWN_UNREADABLE = 3

MAX_CELL_VALUES = 2**28
"""The same times the cells: seconds for an image. The one of 224×224 with 20 cells has 145 million."""


@dataclass(frozen=True)
class Guess:
    """A class and its probability (softmax of the logits)."""

    class_name: str
    probability: float


@dataclass(frozen=True)
class Classified:
    """An image file and its most probable classes, the most probable first; or none, and why: it can't be read."""

    path: Path
    guesses: tuple[Guess, ...]
    error: str = ""


def load_network(path: Path, *, trusted: bool = False) -> LoadedNetwork:
    """Load an exported network by its file's ending.

    A pt2 file can run what its maker likes, so it must be `trusted`. A file that is not is held to `MAX_VALUES` and
    `MAX_CELL_VALUES`, whatever its format: a few bytes may ask for any amount of memory and time.

    Raises:
        ExportError: an unknown ending, a pt2 file that is not trusted, a missing package, no network of ours, or one
            beyond the limits.
    """
    format = format_of(path)
    if format == "pt2" and not trusted:
        raise ExportError(
            f"{str(path)!r} is a pt2 file, which can run anything when it is loaded: say that you trust it "
            "(--trusted), or export to .safetensors or .onnx, which can't"
        )
    network = read_network(path, format)
    if not trusted:
        _check_affordable(network.description, path)
    return network


def classify(network: LoadedNetwork, paths: Sequence[Path], *, top: int = 5, batch: int = 64) -> list[Classified]:
    """What `classify_each` says of image files that must all be readable.

    Raises:
        DataError: a file is no image; all files are looked at, so that the count is whole.
        MedartsError: as for `classify_each`.
    """
    answers = list(classify_each(network, paths, top=top, batch=batch))
    unreadable = [answer for answer in answers if answer.error]
    if unreadable:
        raise DataError(in_words(unreadable, len(answers)))
    return answers


def classify_each(
    network: LoadedNetwork, paths: Iterable[Path], *, top: int = 5, batch: int = 64
) -> Iterator[Classified]:
    """The `top` most probable classes of each image file, or why it can't be read, in the order of `paths`.

    Files are decoded in threads, as training images are (`data/image_files.py`), made grey or RGB as the network needs
    them, and brought to the size that it was trained on as its training images were. An image's answer doesn't depend
    on the others beside it, but for rounding. A `top` of more classes than there are gives all; `batch` is how
    many images are looked at at a time, fewer where they are large. No more than two batches are held, however many
    files there are.

    Raises:
        ConfigError: `top` or `batch` is below 1.
        ExportError: the network can't be run, or answers anything but a finite number for each class.
    """
    for name, number in (("top", top), ("batch", batch)):
        if number < 1:
            raise ConfigError(f"{name} is {number}: allowed is 1 or more")
    batch = max(1, min(batch, MAX_VALUES // network.description.values_an_image))
    to_read, to_name = tee(paths)
    with closing(_images(to_read, network.description, ahead=batch)) as images:
        named = zip(to_name, images, strict=True)
        while some := list(islice(named, batch)):
            yield from _classified(network, some, top)


def in_words(unreadable: Sequence[Classified], total: int) -> str:
    """One line on the image files that can't be read, of so many in all: how many, and the first few by name."""
    first = "; ".join(f"{str(each.path)!r} ({each.error})" for each in unreadable[:SHOWN_UNREADABLE])
    others = len(unreadable) - SHOWN_UNREADABLE
    first += f"; and {others:,} others" if others > 0 else ""
    which = "the first is" if min(len(unreadable), SHOWN_UNREADABLE) == 1 else "the first are"
    return f"{len(unreadable):,} of {total:,} images can't be read, {which} {first}: replace or remove them"


def _images(paths: Iterable[Path], description: NetworkDescription, *, ahead: int) -> Generator[Read]:
    return read_one_by_one(
        paths,
        description.resolution,
        description.in_channels,
        description.fit,
        max_pixels=DatasetConfig().max_pixels,
        ahead=ahead,
    )


def _unreadable(path: Path, error: Exception) -> Classified:
    if isinstance(error, OSError) and error.strerror:
        return Classified(path, (), error.strerror)
    return Classified(path, (), reason_alone(path, error))


def _as_pixels(images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
    return np.ascontiguousarray(np.stack(images).transpose(0, 3, 1, 2), dtype=np.float32)


def _classified(network: LoadedNetwork, some: Sequence[tuple[Path, Read]], top: int) -> Iterator[Classified]:
    names = network.description.class_names
    readable = [(path, image) for path, image in some if not isinstance(image, Exception)]
    paths = [path for path, _ in readable]
    # Not an image may be readable.
    rows = iter(_logits(network, paths, _as_pixels([image for _, image in readable])) if readable else ())
    for path, image in some:
        if isinstance(image, Exception):
            yield _unreadable(path, image)
            continue
        probabilities = _softmax(next(rows))
        best = np.argsort(-probabilities, kind="stable")[:top]
        yield Classified(path, tuple(Guess(names[place], float(probabilities[place])) for place in best))


def _check_affordable(description: NetworkDescription, path: Path) -> None:
    values = description.values_an_image
    for got, allowed, what in (
        (values, MAX_VALUES, "an image"),
        (values * description.cells, MAX_CELL_VALUES, f"an image in {description.cells} cells"),
    ):
        if got > allowed:
            height, width = description.resolution
            raise ExportError(
                f"{str(path)!r} takes images of {height}×{width} through maps of {got:,} numbers for {what}: allowed "
                f"are {allowed:,}; if it is your own, say that you trust it (--trusted)"
            )


def _logits(network: LoadedNetwork, paths: Sequence[Path], pixels: Pixels) -> Logits:
    """What the network says of image files, [image, class]: finite numbers, or else an ExportError."""
    try:
        logits = np.asarray(network.logits(pixels))
    except MemoryError:
        raise
    except Exception as error:  # a foreign file answers images with errors of its library's own
        raise ExportError(f"the network can't be run ({named(error)[:120]}): export the evaluation again") from error
    expected = (len(paths), len(network.description.class_names))
    if logits.shape != expected or logits.dtype.kind != "f":
        raise ExportError(
            f"the network answers with {logits.dtype} {list(logits.shape)}: allowed is a number for each image and "
            f"class, {list(expected)}; export the evaluation again"
        )
    for path, row in zip(paths, logits, strict=True):
        if not np.isfinite(row).all():
            raise ExportError(
                f"the network's answer to {str(path)!r} is not finite: its weights are broken, or overflow; export the "
                "evaluation again"
            )
    return logits


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    raised = np.exp(logits.astype(np.float64) - logits.max())
    probabilities: NDArray[np.float64] = raised / raised.sum()
    return probabilities
