"""Augmented images a second: batches made on the device, against worker processes with one PIL image at a time."""

from __future__ import annotations

from collections.abc import Callable

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from medarts_ops.config_runtime import ResolvedRuntime
from medarts_ops.data.augment import DEFAULT_PADDING_DIVISOR, Augmentation
from medarts_ops.data.batches import batch_order
from medarts_ops.data.dataset import ImageShape, LabelledImages
from medarts_ops.data.proxy import ChannelStatistics, channel_statistics
from medarts_ops.training.at_a_time import available_cores
from medarts_ops.training.made_up import made_up_images
from medarts_ops.training.placed_images import PlacedImages
from medarts_ops.training.runtime import Runtime
from medarts_ops.training.trial_steps import time_interleaved
from medarts_ops.value import Value


class InputTiming(Value):
    """One resolution: images a second that are cropped, flipped, normalised and batched. Medians over passes."""

    resolution: int
    batch: int
    images: int
    workers: int
    images_per_second: float
    loader_images_per_second: float
    ratio: float


def measure_input(
    config: ResolvedRuntime,
    resolution: int,
    batch: int,
    repeats: int,
    *,
    images: int = 4096,
    workers: int | None = None,
) -> InputTiming:
    """Product and loader over the same made-up images, `repeats` passes in turn, each far longer than a clock's tick.

    One more pass of each warms up, in which the loader's `workers` start; by default one for each core.
    """
    runtime = Runtime.from_config(config)
    runtime.apply_to_process()
    workers = available_cores() if workers is None else workers
    made_up = made_up_images(images, ImageShape.square(resolution))
    statistics = channel_statistics(made_up.images)
    passes = {
        "product": product_pass(made_up, statistics, batch, runtime),
        "loader": loader_pass(made_up, statistics, batch, workers),
    }
    seconds = time_interleaved(passes, repeats, runtime.device)
    return InputTiming(
        resolution=resolution,
        batch=batch,
        images=images,
        workers=workers,
        images_per_second=images / seconds["product"],
        loader_images_per_second=images / seconds["loader"],
        ratio=seconds["loader"] / seconds["product"],
    )


def product_pass(
    labelled: LabelledImages, statistics: ChannelStatistics, batch: int, runtime: Runtime
) -> Callable[[], object]:
    """One pass over the images as training makes it."""
    placed = PlacedImages.place(labelled.images, labelled.labels, *statistics, runtime)
    side = labelled.images.shape[1]
    augmentation = Augmentation(crop_padding=side // DEFAULT_PADDING_DIVISOR, flip=True, cutout=0)
    order, stream = torch.Generator().manual_seed(0), runtime.generator(1)

    def run() -> None:
        for indices in batch_order(len(placed), batch, order):
            placed.augmented(indices, augmentation, stream)

    return run


def loader_pass(
    labelled: LabelledImages, statistics: ChannelStatistics, batch: int, workers: int
) -> Callable[[], object]:
    """One pass through a torch loader with the same transforms; its workers start in the first and stay."""
    loader = DataLoader(
        PilImages(labelled, statistics),
        batch_size=batch,
        shuffle=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        multiprocessing_context="spawn" if workers else None,  # a forked thread pool does not survive
        generator=torch.Generator().manual_seed(0),
    )

    def run() -> None:
        for _ in loader:
            pass

    return run


class PilImages(Dataset[tuple[Tensor, int]]):
    """Images that are augmented one by one when they are asked for, as torchvision's CIFAR10 gives them to DARTS."""

    def __init__(self, labelled: LabelledImages, statistics: ChannelStatistics) -> None:
        self._labelled = labelled
        side = labelled.images.shape[1]
        mean, std = (values.tolist() for values in statistics)
        crop = transforms.RandomCrop(side, padding=side // DEFAULT_PADDING_DIVISOR)
        to_numbers = (transforms.ToTensor(), transforms.Normalize(mean, std))
        self._transform = transforms.Compose([crop, transforms.RandomHorizontalFlip(), *to_numbers])

    def __len__(self) -> int:
        return len(self._labelled)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image: Tensor = self._transform(Image.fromarray(self._labelled.images[index]))
        return image, int(self._labelled.labels[index])
