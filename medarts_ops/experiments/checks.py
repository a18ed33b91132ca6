"""What can be known to fail before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence

from medarts_ops.data.dataset import ImageDataset
from medarts_ops.data.evaluation_images import evaluation_images
from medarts_ops.experiment import Arm
from medarts_ops.training.supervised import check_batch


def check_can_be_trained(arm: Arm, dataset: ImageDataset, seeds: Sequence[int]) -> None:
    """Refuse an arm whose evaluation would fail with every seed: its images are `dataset`.

    A genotype of other nodes or channels is none of that: networks are built for the images that they get.

    Raises:
        ConfigError: a batch that the auxiliary head can't take.
        DataError: fewer images than the settings ask for.
    """
    if arm.evaluation is None:
        return
    config = arm.evaluation.model_copy(update={"seed": seeds[0]})
    check_batch(config)
    evaluation_images(dataset, config)
