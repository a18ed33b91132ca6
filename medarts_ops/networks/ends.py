"""What stands before and behind a derived network's cells: stems, the auxiliary head, the mean that is classified."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from medarts_ops.networks.batch_norm import BatchNorm
from medarts_ops.networks.layout import STEM_MULTIPLIER
from medarts_ops.settings import StemKind


class CifarStem(nn.Sequential):
    """A 3×3 convolution and its norm, at the images' size; both inputs of the first cell, before their ReLU."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__(*_conv_norm(in_channels, STEM_MULTIPLIER * channels, stride=1))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        output: Tensor = self[1](self[0](images))
        return output, output


class ImagenetStem(nn.Module):
    """Three 3×3 convolutions of stride 2: the first cell reads the last two, before their ReLU.

    They have a quarter and an eighth of the images' side.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        first, second = _conv_norm(in_channels, channels // 2, stride=2), _conv_norm(channels // 2, channels, stride=2)
        self.quarter = nn.Sequential(*first, nn.ReLU(inplace=True), *second)
        self.eighth = nn.Sequential(*_conv_norm(channels, channels, stride=2))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        quarter = self.quarter(images)
        return quarter, self.eighth(torch.relu(quarter))


STEMS: dict[StemKind, Callable[[int, int], CifarStem | ImagenetStem]] = {"cifar": CifarStem, "imagenet": ImagenetStem}


def _conv_norm(in_channels: int, out_channels: int, *, stride: int) -> tuple[nn.Conv2d, BatchNorm]:
    convolution = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
    return convolution, BatchNorm(out_channels)


def least_batch(*, auxiliary: bool, stem: StemKind = "cifar") -> int:
    """Images that a training step needs: the last norm of CIFAR's auxiliary head sees one value of each."""
    return 2 if auxiliary and stem == "cifar" else 1


class AuxiliaryHead(nn.Module):
    """A second classifier that helps the gradient on its way (DARTS's AuxiliaryHeadCIFAR, AuxiliaryHeadImageNet).

    On the map that DARTS's images give it pools exactly as DARTS does; elsewhere adaptively to the same 2×2 (ours).
    Behind the stem `imagenet` there is no second norm, as DARTS leaves it.
    """

    def __init__(self, in_channels: int, n_classes: int, stem: StemKind = "cifar") -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, 128, 1, bias=False),
            BatchNorm(128),
            nn.ReLU(),
            nn.Conv2d(128, 768, 2, bias=False),
            *([BatchNorm(768)] if stem == "cifar" else []),
            nn.ReLU(),
        )
        # 8×8 of 32×32 images, 7×7 of 224×224.
        self.darts_map, stride = (8, 3) if stem == "cifar" else (7, 2)
        self.darts_pool = nn.AvgPool2d(5, stride=stride, count_include_pad=False)
        self.classifier = nn.Linear(768, n_classes)

    def forward(self, images: Tensor) -> Tensor:
        exact = images.shape[2:] == (self.darts_map, self.darts_map)
        active = torch.relu(images)
        pooled = self.darts_pool(active) if exact else quarters(active)
        logits: Tensor = self.classifier(self.features(pooled).flatten(1))
        return logits


def quarters(images: Tensor) -> Tensor:
    """Means over the four quarters: [image, channel, height ≥ 2, width ≥ 2] → [image, channel, 2, 2].

    Odd sides share their middle, as in `AdaptiveAvgPool2d(2)`, whose backward pass is not deterministic on CUDA.
    """
    sides = images.shape[2:]
    return F.avg_pool2d(images, [(side + 1) // 2 for side in sides], [side // 2 for side in sides])


def pooled(images: Tensor) -> Tensor:
    """The mean over all pixels: [image, channel, height, width] → [image, channel].

    Written so that its gradient is channels-last where a cell's is: norms are slow where two layouts meet.
    """
    return images.permute(0, 2, 3, 1).mean(dim=(1, 2)) if torch.is_grad_enabled() else images.mean(dim=(2, 3))
