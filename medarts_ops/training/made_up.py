"""Images that are made up for steps to be timed on: random pixels, the same ones each time."""

from __future__ import annotations

import numpy as np
import torch

from medarts_ops.data.batches import Batch
from medarts_ops.data.dataset import LabelledImages
from medarts_ops.data.search_data import SearchData
from medarts_ops.data.stage_data import StageData
from medarts_ops.training.runtime import Runtime
from medarts_ops.value import Value

IN_CHANNELS = 3
N_CLASSES = 10


def made_up_images(n: int, resolution: int, in_channels: int = IN_CHANNELS) -> LabelledImages:
    """`n` random square images of `resolution` pixels a side, all of CIFAR-10's classes in turn."""
    shape = (n, resolution, resolution, in_channels)
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    return LabelledImages(images, np.arange(n) % N_CLASSES)


class ImageSize(Value):
    """What made-up images are like: side in pixels, channels, and the number of classes."""

    resolution: int
    in_channels: int
    n_classes: int

    @classmethod
    def of(cls, data: SearchData) -> ImageSize:
        """That of a search's images, as its supernets see them."""
        first = data.stages[0]
        return cls(resolution=first.images.shape[1], in_channels=first.images.shape[3], n_classes=first.n_classes)


def made_up_batch(n: int, size: ImageSize, runtime: Runtime, seed: int) -> Batch:
    """Random images and labels on the device, in the runtime's layout."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(n, size.in_channels, size.resolution, size.resolution, generator=generator)
    labels = torch.randint(size.n_classes, (n,), generator=generator)
    layout = torch.channels_last if runtime.channels_last else torch.contiguous_format
    return Batch(images.to(runtime.device).contiguous(memory_format=layout), labels.to(runtime.device))


def made_up_data(n: int, size: ImageSize) -> StageData:
    """A stage of `2n` random images, or as many as it takes to have every class in both halves."""
    n = max(n, size.n_classes)
    images = made_up_images(2 * n, size.resolution, size.in_channels).images
    labels = np.arange(2 * n) // 2 % size.n_classes
    even, odd = np.arange(0, 2 * n, 2), np.arange(1, 2 * n, 2)
    middle = np.full(size.in_channels, 0.5)
    return StageData(images, labels, even, odd, odd, middle, middle, n_classes=size.n_classes)
