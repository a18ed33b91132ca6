"""Images held back from training, and the weights of the epoch that did best on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from medarts_ops.evaluated import EvaluationEpoch, best_epoch
from medarts_ops.training.placed_images import PlacedImages


class Validation:
    """Measures each epoch by `images`, and keeps the best one's weights.

    `balanced` takes the epoch of the highest mean recall of the classes for the best, not of the highest accuracy.
    """

    def __init__(self, images: PlacedImages, n_classes: int, *, balanced: bool) -> None:
        self._images, self._n_classes, self._balanced = images, n_classes, balanced
        self._counts = torch.bincount(images.labels.cpu(), minlength=n_classes).tolist()
        self._weights: dict[str, Tensor] = {}

    def sums(self, logits_of: Callable[[Tensor], Tensor], training_batch: int) -> Tensor:
        """Summed loss, and hits by class, [1 + class], which stay on the device; the network is in eval mode.

        Of several processes, each has the sums of its own part of the images.
        """
        own = self._images.runtime.ranks.part(len(self._images))
        logits, labels = self._images.logits(logits_of, training_batch, own), self._images.labels[own]
        loss = F.cross_entropy(logits, labels, reduction="sum")
        right = logits.argmax(dim=1) == labels
        classes = labels[:, None] == torch.arange(self._n_classes, device=loss.device)
        return torch.cat([loss[None], (classes & right[:, None]).sum(dim=0)])

    def measures(self, sums: Sequence[float]) -> dict[str, float]:
        """The numbers of an epoch that `sums` gave; a class without validation images counts for none."""
        loss, *hits = sums
        recalls = [found / count for found, count in zip(hits, self._counts, strict=True) if count]
        return {
            "valid_loss": loss / len(self._images),
            "valid_accuracy": sum(hits) / len(self._images),
            "valid_balanced_accuracy": sum(recalls) / len(recalls),
        }

    def keep_if_best(self, history: Sequence[EvaluationEpoch], network: nn.Module) -> None:
        """Keep the network's weights if the last of `history`, which they are of, is the best epoch so far."""
        if best_epoch(history, balanced=self._balanced) == len(history) - 1:
            self._weights = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}

    def put_back(self, network: nn.Module) -> None:
        """Give the network the weights of the best epoch."""
        network.load_state_dict(self._weights)

    def state(self) -> dict[str, Any]:
        """The kept weights: none in a training that is yet to begin."""
        return self._weights

    def load_state(self, state: dict[str, Any]) -> None:
        """Keep those of `state` from here on."""
        self._weights = state
