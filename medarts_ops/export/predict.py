"""What an exported network says of image files.

A safetensors file is read as numbers and an ONNX file as a graph of known operations; neither can run anything else.
A pt2 file is another matter: `torch.export.load` falls back to unpickling and evaluates expressions of the file, so
that whoever made the file can run what they like. It is loaded only where the caller says that the file is trusted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medarts_ops.config import DatasetConfig
from medarts_ops.data.image_files import read_images
from medarts_ops.errors import ConfigError, ExportError, named
from medarts_ops.export.formats import format_of, read_network
from medarts_ops.export.loaded import LoadedNetwork, Logits
from medarts_ops.export.network import NetworkDescription

MAX_VALUES = 2**24
"""Numbers, of one image, in a map between the cells of a network that is not trusted, or of a batch: about 1 GB in all.

Full-size networks (36 channels) of 224×224 have 7 million, of 340×340 as many as are allowed."""

MAX_CELL_VALUES = 2**28
"""The same times the cells: seconds for an image. The one of 224×224 with 20 cells has 145 million."""


@dataclass(frozen=True)
class Guess:
    """A class and its probability (softmax of the logits)."""

    class_name: str
    probability: float


@dataclass(frozen=True)
class Classified:
    """An image file and its most probable classes, the most probable first."""

    path: Path
    guesses: tuple[Guess, ...]


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
    """The `top` most probable classes of each image file, in the order of `paths`.

    Files are decoded as training images are (`data/image_files.py`), made grey or RGB as the network needs them, and
    brought to the size that it was trained on as its training images were. An image's answer doesn't depend on
    the others beside it, but for rounding. A `top` of more classes than there are gives all; `batch` is how many images
    are looked at at a time, fewer where they are large.

    Raises:
        ConfigError: `top` or `batch` is below 1.
        DataError: a file is no image.
        ExportError: the network can't be run, or answers anything but a finite number for each class.
    """
    for name, number in (("top", top), ("batch", batch)):
        if number < 1:
            raise ConfigError(f"{name} is {number}: allowed is 1 or more")
    names = network.description.class_names
    batch = max(1, min(batch, MAX_VALUES // network.description.values_an_image))
    answers: list[Classified] = []
    for some in (paths[start : start + batch] for start in range(0, len(paths), batch)):
        probabilities = _softmax(_logits(network, some))
        best = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
        for path, row, order in zip(some, probabilities, best, strict=True):
            answers.append(Classified(path, tuple(Guess(names[place], float(row[place])) for place in order)))
    return answers


def read_pixels(paths: Sequence[Path], description: NetworkDescription) -> NDArray[np.float32]:
    """Image files as a network wants them: [image, channel, height, width], float32 in 0…255; else a DataError."""
    from PIL import Image

    limit = DatasetConfig().max_pixels
    images = read_images(paths, description.resolution, limit, if_larger="scale it down", fit=description.fit)
    if images.shape[3] < description.in_channels:
        images = np.repeat(images, 3, axis=3)
    elif images.shape[3] > description.in_channels:  # a grey image is the same through RGB and back
        images = np.stack([np.asarray(Image.fromarray(image).convert("L"))[..., np.newaxis] for image in images])
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2), dtype=np.float32)


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


def _logits(network: LoadedNetwork, paths: Sequence[Path]) -> Logits:
    """What the network says of image files, [image, class]: finite numbers, or else an ExportError."""
    pixels = read_pixels(paths, network.description)
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
    raised = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    probabilities: NDArray[np.float64] = raised / raised.sum(axis=1, keepdims=True)
    return probabilities
