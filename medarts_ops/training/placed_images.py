"""Labelled images where training wants them, and the batches that are made of them there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from medarts_ops.data.augment import Augmentation, Draws, normalise, training_batch
from medarts_ops.data.batches import Batch
from medarts_ops.data.stage_data import StageData
from medarts_ops.training.runtime import Runtime

LEAST_MEASURED = 256  # images of a measured batch: no gradients are kept, so more fit than in a training step
MEASURED_PIXELS = 128 * 32 * 32  # of larger images fewer, which would else hold more than a step does


@dataclass(frozen=True)
class PlacedImages:
    """Labelled images on the device, or in pinned memory beside it, with what normalises them.

    `images` uint8 [image, height, width, channel], `labels` int64 [image], `mean` and `std` float32 [channel] in 0…1.
    """

    images: Tensor
    labels: Tensor
    mean: Tensor
    std: Tensor
    runtime: Runtime

    @classmethod
    def place(
        cls,
        images: NDArray[np.uint8],
        labels: NDArray[np.int64],
        mean: NDArray[np.float64],
        std: NDArray[np.float64],
        runtime: Runtime,
    ) -> PlacedImages:
        return cls(
            images=runtime.place_images(images),
            labels=torch.from_numpy(labels).to(runtime.device),
            mean=torch.from_numpy(mean).float().to(runtime.device),
            std=torch.from_numpy(std).float().to(runtime.device),
            runtime=runtime,
        )

    def __len__(self) -> int:
        return len(self.labels)

    def augmented(
        self, indices: Tensor, augmentation: Augmentation, generator: torch.Generator, own: slice = slice(None)
    ) -> Batch:
        """A training batch of the images at `indices [image]` (on the host); of `own` alone, drawn as in the whole."""
        draws = Draws.make(len(indices), self.size, augmentation, generator)
        return self._augmented(indices[own], augmentation, draws.part(own))

    def augmented_stack(
        self, indices: Sequence[Tensor], augmentation: Augmentation, generators: Sequence[torch.Generator]
    ) -> Batch:
        """A batch [individual, image, …] of equally many images for each individual, drawn by its own generator."""
        draws = [
            Draws.make(len(chosen), self.size, augmentation, generator)
            for chosen, generator in zip(indices, generators, strict=True)
        ]
        flat = self._augmented(torch.cat(list(indices)), augmentation, Draws.join(draws))
        stack = (len(indices), len(indices[0]))
        return Batch(flat.images.unflatten(0, stack), flat.labels.unflatten(0, stack))

    def _augmented(self, indices: Tensor, augmentation: Augmentation, draws: Draws) -> Batch:
        layout = self.runtime.channels_last
        images = self.runtime.take(self.images, indices)
        ready = training_batch(images, self.mean, self.std, augmentation, draws, channels_last=layout)
        return Batch(ready, self._labels_at(indices))

    @property
    def size(self) -> tuple[int, int]:
        return self.images.shape[1], self.images.shape[2]

    def plain(self, indices: Tensor) -> Batch:
        """A batch to measure on, of the images at `indices [image]` (on the host)."""
        images = self.runtime.take(self.images, indices)
        ready = normalise(images, self.mean, self.std, channels_last=self.runtime.channels_last)
        return Batch(ready, self._labels_at(indices))

    def _labels_at(self, indices: Tensor) -> Tensor:
        return self.labels[indices.to(self.runtime.device, non_blocking=True)]

    @torch.no_grad()
    def measure(
        self, logits_of: Callable[[Tensor], Tensor], indices: Tensor, training_batch: int
    ) -> tuple[Tensor, Tensor]:
        """Summed losses and hits of `logits_of` over the images at `indices`, unaugmented; both stay on the device.

        `logits_of` gives [image, class], or [individual, image, class] for a stack, whose sums are [individual]. The
        caller has put its network into eval mode. Batches are as large as `training_batch`, or larger.
        """
        losses_of_batches, hits_of_batches = [], []
        for chosen in indices.split(measured_batch(training_batch, self.size)):
            batch = self.plain(chosen)
            with self.runtime.autocast():
                logits = logits_of(batch.images)
                labels = batch.labels.expand(logits.shape[:-1])
                losses = F.cross_entropy(logits.flatten(0, -2), labels.flatten(), reduction="none").view(labels.shape)
            losses_of_batches.append(losses.float().sum(dim=-1))
            hits_of_batches.append(hits(logits, batch.labels))
        return torch.stack(losses_of_batches).sum(dim=0), torch.stack(hits_of_batches).sum(dim=0)

    @torch.no_grad()
    def logits(self, logits_of: Callable[[Tensor], Tensor], training_batch: int, own: slice = slice(None)) -> Tensor:
        """What `logits_of` gives for all images, or `own`: float32 [image, class] on the device; else as `measure`."""
        found = []
        for chosen in torch.arange(len(self))[own].split(measured_batch(training_batch, self.size)):
            with self.runtime.autocast():
                found.append(logits_of(self.plain(chosen).images).float())
        return torch.cat(found)


def measured_batch(training_batch: int, size: tuple[int, int]) -> int:
    """How many images of this height and width are measured at a time."""
    height, width = size
    return max(min(LEAST_MEASURED, MEASURED_PIXELS // (height * width)), training_batch)


def whole_batches(indices: Tensor, size: int) -> tuple[Tensor, ...]:
    """`indices [image]` in batches of `size` and none smaller, whose statistics would be poor; all, if fewer."""
    batches: tuple[Tensor, ...] = indices[: max(len(indices) // size, 1) * size].split(size)
    return batches


def hits(logits: Tensor, labels: Tensor) -> Tensor:
    """How many of `logits […, image, class]` are right, […]; a count that stays on the device."""
    return (logits.detach().argmax(dim=-1) == labels).sum(dim=-1)


@dataclass(frozen=True)
class StageTensors:
    """A stage's images, placed, beside the data that say which of them are for what."""

    placed: PlacedImages
    data: StageData

    @classmethod
    def place(cls, data: StageData, runtime: Runtime) -> StageTensors:
        return cls(PlacedImages.place(data.images, data.labels, data.mean, data.std, runtime), data)
