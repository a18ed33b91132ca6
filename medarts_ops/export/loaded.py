"""An exported network that is ready to use: its description, and how far it is from the network that it was made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medarts_ops.data.resolution import lanczos
from medarts_ops.data.thumbnails import png_text
from medarts_ops.errors import ExportError
from medarts_ops.export.names import Format
from medarts_ops.export.network import NetworkDescription, TrainedNetwork, described

MAX_METADATA = 2**20
"""Characters of a description."""

TOLERANCE = 1e-4
"""The largest difference of a logit that is taken for rounding, in parts of the largest logit or of 1."""

RESIZED_TOLERANCE = 0.01
"""The largest difference of a probability that is taken for single pixels that are rounded otherwise."""

Pixels = NDArray[np.float32]
Logits = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class LoadedNetwork:
    """An exported network that is ready to use.

    `logits` takes images [image, channel, height, width], float32 in 0…255, and gives [image, class] in the order of
    `description.class_names`.
    """

    description: NetworkDescription
    format: Format
    logits: Callable[[Pixels], Logits]


def read_description(text: str | bytes | None, source: str) -> NetworkDescription:
    """The description that an exported network from `source` says of itself, under `METADATA`.

    Raises:
        ExportError: it is missing, too long, or describes no network that can be built.
    """
    if text is None or len(text) > MAX_METADATA:
        raise ExportError(f"{source!r} has no description of ours in its metadata: export the evaluation")
    return described(NetworkDescription.model_validate_json, text, source, "export the evaluation again")


def largest_difference(network: TrainedNetwork, loaded: LoadedNetwork, name: str) -> float:
    """The largest absolute difference of a logit of what was read back, `name`, on made-up images at batch 1, 2 and 7.

    Raises:
        ExportError: it is larger than `TOLERANCE`, or the description is another one.
    """
    if loaded.description != network.description:
        raise ExportError(f"{name!r} came back with another description: it was not written; report this")
    largest, scale = 0.0, 1.0
    generator = torch.Generator().manual_seed(0)
    for batch in (1, 2, 7):
        images = _images(network.description, batch, generator)
        with torch.no_grad():
            expected = network.module(images).numpy()
        difference = float(np.abs(loaded.logits(images.numpy()) - expected).max())
        scale = max(scale, float(np.abs(expected).max()))
        if not difference <= TOLERANCE * scale:
            raise ExportError(
                f"{name!r} would differ from the network: by {difference:.3g} in a logit of {batch} images, "
                f"allowed are {TOLERANCE * scale:.3g}; it was not written; take another format"
            )
        largest = max(largest, difference)
    return largest


def largest_difference_of_resized(network: TrainedNetwork, loaded: LoadedNetwork, name: str) -> float:
    """The largest absolute difference of a probability where what was read back resizes, and PIL for the network.

    Of made-up images, smaller and larger than those that it was trained on, whose sides PIL takes in the order in which
    the file does (`any_size.py`).

    Raises:
        ExportError: it is larger than `RESIZED_TOLERANCE`.
    """
    description = network.description
    height, width = description.resolution
    generator = torch.Generator().manual_seed(0)
    largest = 0.0
    for sides in ((height // 2 + 1, width // 2 + 2), (height + 5, 3 * width + 1)):
        images = torch.randint(256, (2, *sides, description.in_channels), generator=generator, dtype=torch.uint8)
        small = torch.from_numpy(lanczos(images.numpy(), height, width, description.fit))
        given = np.ascontiguousarray(images.permute(0, 3, 1, 2).numpy(), np.float32)
        with torch.no_grad():
            expected = network.module(small.permute(0, 3, 1, 2).float()).softmax(dim=1)
        found = torch.from_numpy(loaded.logits(given)).softmax(dim=1)
        largest = max(largest, float((found - expected).abs().max()))
    if not largest <= RESIZED_TOLERANCE:
        raise ExportError(
            f"{name!r} would resize images otherwise than in training: by {largest:.3g} in a probability, allowed are "
            f"{RESIZED_TOLERANCE}; it was not written; leave --any-size out"
        )
    return largest


def largest_difference_of_photos(
    network: TrainedNetwork, probabilities: Callable[[Sequence[str]], NDArray[np.float64]], name: str
) -> float:
    """The largest absolute difference of a probability where files in base64 are answered, at batch 1, 2 and 7.

    `probabilities` gives [photo, class]; the photos are made up, of the size that the network was trained on.

    Raises:
        ExportError: it is larger than `TOLERANCE`.
    """
    generator = torch.Generator().manual_seed(0)
    largest = 0.0
    for batch in (1, 2, 7):
        images = _images(network.description, batch, generator)
        photos = [png_text(image) for image in images.permute(0, 2, 3, 1).to(torch.uint8).numpy()]
        with torch.no_grad():
            expected = network.module(images).softmax(dim=1).numpy()
        largest = max(largest, float(np.abs(probabilities(photos) - expected).max()))
    if not largest <= TOLERANCE:
        raise ExportError(
            f"{name!r} would differ from the network: by {largest:.3g} in a probability, allowed are {TOLERANCE:.3g}; "
            "it was not logged; report this"
        )
    return largest


def example_images(description: NetworkDescription) -> Tensor:
    """Two made-up images, [2, channel, height, width]: what tracing needs, which takes a batch of 1 for a constant."""
    return _images(description, 2, torch.Generator().manual_seed(0))


def _images(description: NetworkDescription, batch: int, generator: torch.Generator) -> Tensor:
    shape = (batch, description.in_channels, *description.resolution)
    return torch.randint(256, shape, generator=generator).float()
