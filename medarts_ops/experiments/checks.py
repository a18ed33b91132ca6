"""What can be known to fail before anything is trained."""

from __future__ import annotations

from medarts_ops.config import ResolvedEvaluateConfig
from medarts_ops.data.dataset import ImageDataset
from medarts_ops.data.evaluation_images import with_validation
from medarts_ops.training.supervised import check_network


def check_can_be_trained(config: ResolvedEvaluateConfig, dataset: ImageDataset) -> None:
    """Refuse settings with which every evaluation on these images would fail, whatever its genotype and seed.

    Raises:
        ConfigError: a batch that the auxiliary head can't take, or images that the stem can't.
        DataError: fewer images than the settings ask for.
    """
    check_network(config, dataset.resolution, config.runtime.devices)
    with_validation(dataset, config)
