"""Epochs enough: with few images, stages and short trainings are given more of them."""

from __future__ import annotations

import logging
from math import ceil
from typing import TypeVar

from medarts_ops.config import DerivedConfig, SearchConfig, StageConfig
from medarts_ops.data.search_data import SearchData

_logger = logging.getLogger(__name__)

Trained = TypeVar("Trained", StageConfig, DerivedConfig)


def with_least_steps(config: SearchConfig, data: SearchData) -> SearchConfig:
    """Stages, and genotypes' short trainings, with as many epochs as their `least_steps` take on these images.

    What is raised is said.
    """
    stages = tuple(
        _with_enough_epochs(stage, images.yardstick(stage.batch).steps, f"stage {stage.name!r}", f"stages.{index}")
        for index, (stage, images) in enumerate(zip(config.stages, data.stages, strict=True))
    )
    derived = config.derived
    if data.derived is not None:
        steps = data.derived.yardstick(derived.batch).steps
        derived = _with_enough_epochs(derived, steps, "a genotype's short training", "derived")
    return config.model_copy(update={"stages": stages, "derived": derived})


def _with_enough_epochs(asked: Trained, steps: int, what: str, path: str) -> Trained:
    """The same with the epochs, of so many steps each, that its `least_steps` take."""
    epochs = max(asked.epochs, ceil(asked.least_steps / steps))
    if epochs == asked.epochs:
        return asked
    _logger.warning(
        "%s: epochs raised from %d to %d, so that it has %d steps (%s.least_steps; 0 leaves them)",
        what,
        asked.epochs,
        epochs,
        asked.least_steps,
        path,
    )
    return asked.model_copy(update={"epochs": epochs})
