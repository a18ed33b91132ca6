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
from medarts_ops.errors import ConfigError, ExportError
from medarts_ops.export.formats import format_of, read_network
from medarts_ops.export.loaded import LoadedNetwork
from medarts_ops.export.network import NetworkDescription


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
    """Load an exported network by its file's ending; a pt2 one can run what its maker likes: it must be `trusted`.

    Raises:
        ExportError: an unknown ending, a pt2 file that is not trusted, a missing package, or no network of ours.
    """
    format = format_of(path)
    if format == "pt2" and not trusted:
        raise ExportError(
            f"{str(path)!r} is a pt2 file, which can run anything when it is loaded: say that you trust it "
            "(--trusted), or export to .safetensors or .onnx, which can't"
        )
    return read_network(path, format)


def classify(network: LoadedNetwork, paths: Sequence[Path], *, top: int = 5, batch: int = 64) -> list[Classified]:
    """The `top` most probable classes of each image file, in the order of `paths`.

    Files are decoded as training images are (`data/image_files.py`), made grey or RGB as the network needs them, and
    resized by LANCZOS to what it was trained on; the aspect ratio is not kept. An image's answer doesn't depend on
    the others beside it, but for rounding. A `top` of more classes than there are gives all; `batch` is how many images
    are looked at at a time.

    Raises:
        ConfigError: `top` or `batch` is below 1.
        DataError: a file is no image.
    """
    for name, number in (("top", top), ("batch", batch)):
        if number < 1:
            raise ConfigError(f"{name} is {number}: allowed is 1 or more")
    names = network.description.class_names
    answers: list[Classified] = []
    for some in (paths[start : start + batch] for start in range(0, len(paths), batch)):
        probabilities = _softmax(network.logits(read_pixels(some, network.description)))
        best = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
        for path, row, order in zip(some, probabilities, best, strict=True):
            answers.append(Classified(path, tuple(Guess(names[place], float(row[place])) for place in order)))
    return answers


def read_pixels(paths: Sequence[Path], description: NetworkDescription) -> NDArray[np.float32]:
    """Image files as a network wants them: [image, channel, height, width], float32 in 0…255; else a DataError."""
    from PIL import Image

    images = read_images(paths, description.resolution, DatasetConfig().max_pixels, if_larger="scale it down")
    if images.shape[3] < description.in_channels:
        images = np.repeat(images, 3, axis=3)
    elif images.shape[3] > description.in_channels:  # a grey image is the same through RGB and back
        images = np.stack([np.asarray(Image.fromarray(image).convert("L"))[..., np.newaxis] for image in images])
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2), dtype=np.float32)


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    raised = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    probabilities: NDArray[np.float64] = raised / raised.sum(axis=1, keepdims=True)
    return probabilities
