"""Images that are made up for steps to be timed on: random pixels, the same ones each time."""

from __future__ import annotations

import numpy as np
import torch

from medarts_ops.data.batches import Batch
from medarts_ops.data.dataset import ImageDataset, ImageShape, LabelledImages
from medarts_ops.data.stage_data import StageData
from medarts_ops.training.runtime import Runtime


def made_up_images(n: int, shape: ImageShape) -> LabelledImages:
    """`n` random images, all classes in turn."""
    size = (n, shape.height, shape.width, shape.in_channels)
    images = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    return LabelledImages(images, np.arange(n) % shape.n_classes)


def made_up_dataset(n: int, shape: ImageShape) -> ImageDataset:
    """`n` such images, to train on and to test with."""
    images, names = made_up_images(n, shape), tuple(map(str, range(shape.n_classes)))
    return ImageDataset(name="made up", class_names=names, train=images, test=images, test_source="made up")


def made_up_batch(n: int, shape: ImageShape, runtime: Runtime, seed: int) -> Batch:
    """Random images and labels on the device, in the runtime's layout."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(n, shape.in_channels, shape.height, shape.width, generator=generator)
    labels = torch.randint(shape.n_classes, (n,), generator=generator)
    layout = torch.channels_last if runtime.channels_last else torch.contiguous_format
    return Batch(images.to(runtime.device).contiguous(memory_format=layout), labels.to(runtime.device))


def made_up_data(n: int, shape: ImageShape) -> StageData:
    """A stage of `2n` random images, or as many as it takes to have every class in both halves."""
    n = max(n, shape.n_classes)
    images = made_up_images(2 * n, shape).images
    labels = np.arange(2 * n) // 2 % shape.n_classes
    even, odd = np.arange(0, 2 * n, 2), np.arange(1, 2 * n, 2)
    middle = np.full(shape.in_channels, 0.5)
    return StageData(images, labels, even, odd, odd, middle, middle, n_classes=shape.n_classes)
