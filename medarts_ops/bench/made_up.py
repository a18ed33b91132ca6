"""Images that a bench makes up: random pixels, the same ones each time."""

from __future__ import annotations

import numpy as np

from medarts_ops.data.dataset import LabelledImages

IN_CHANNELS = 3
N_CLASSES = 10


def made_up_images(n: int, resolution: int, in_channels: int = IN_CHANNELS) -> LabelledImages:
    """`n` random square images of `resolution` pixels a side, all of CIFAR-10's classes in turn."""
    shape = (n, resolution, resolution, in_channels)
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    return LabelledImages(images, np.arange(n) % N_CLASSES)
