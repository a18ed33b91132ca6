"""Who of a population is not trained to the end of its stage, as settings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

from medarts_ops.config_choice import DERIVED_OBJECTIVES, SUPERNET_OBJECTIVES, ObjectiveConfig
from medarts_ops.config_stages import StageConfig, nearest
from medarts_ops.errors import ConfigError
from medarts_ops.settings import MAX_EPOCHS, Settings, setting

Objective = TypeVar("Objective", bound=ObjectiveConfig)


class PruneConfig(Settings):
    """Early stopping inside a population: all train for some epochs and are compared, and the best of them go on.

    It is one step of successive halving (Jamieson and Talwalkar 2016), by NSGA-II's order in place of one number.
    """

    after: int | None = setting(
        None,
        "ours",
        "epochs of a stage after which a population is compared by the search's objectives, those of short trainings "
        "(derived_*) left out, and its worst are ended; a stage of no more epochs prunes nobody; empty is off",
        ge=1,
        le=MAX_EPOCHS,
    )
    keep: float = setting(
        0.5,
        "ours",
        "share of a population, to the nearest individual and one at least, that trains to the stage's end; who failed "
        "before counts among those that do not",
        gt=0,
        le=1,
    )

    def kept(self, stage: StageConfig) -> int:
        """How many of a population of the stage train to its end, at most; all of it where nobody is pruned."""
        if self.after is None or stage.epochs <= self.after:
            return stage.size
        return max(1, nearest(self.keep, stage.size))

    def spared(self, stage: StageConfig, individuals: int | None = None) -> int:
        """Epochs that a population of the stage is spared, summed over its individuals; as large as planned or not."""
        size = stage.size if individuals is None else individuals
        return max(0, size - self.kept(stage)) * max(0, stage.epochs - (self.after or stage.epochs))


def compared_early(objectives: Sequence[Objective]) -> tuple[Objective, ...]:
    """Those by which a population is compared before its stage's end: the ones that need no short training."""
    return tuple(objective for objective in objectives if objective.name not in DERIVED_OBJECTIVES)


def check_prune(
    prune: PruneConfig,
    stages: Sequence[StageConfig],
    *,
    rounds: int,
    min_survivors: int,
    objectives: Sequence[str],
    budget: float | None = None,
) -> None:
    """Refuse to end individuals that a search can't do without, or that can't be compared.

    `rounds` are the first stage's populations, `objectives` the search's, by name, `budget` its time in seconds.

    Raises:
        ConfigError: nobody would be ended, though somebody is to be; too few would be left for `survivors` of the
            stage behind or for `min_survivors`; what is compared says nothing about how well an individual does; or
            epochs may end early, since a time is over.
    """
    pruned = [index for index, stage in enumerate(stages) if prune.kept(stage) < stage.size]
    if prune.after is not None and prune.keep < 1 and not pruned:
        raise ConfigError(
            f"prune.after is {prune.after} and prune.keep {prune.keep:g}: nobody would be ended, since stages train "
            f"{_each(stages, 'epochs')} epochs with {_each(stages, 'size')} individuals; allowed is an epoch before a "
            "stage's last and a share that leaves somebody out, or leave prune.after empty"
        )
    for index in pruned:
        stage, following = stages[index], stages[index + 1 : index + 2]
        asked = {f"stages.{index + 1}.survivors": each.survivors or 0 for each in following}
        asked["min_survivors"] = min(min_survivors, stage.size)
        populations = 1 if index else rounds
        for path, wanted in asked.items():
            _check_left(prune, stage, path, wanted, populations)
    if pruned and budget is not None:
        raise ConfigError(
            f"prune.after is {prune.after} and runtime.budget is {budget:g} seconds: a plan that is fitted to a time, "
            "and may end early, prunes nobody; allowed is one of the two, so leave prune.after or the budget empty"
        )
    if pruned and set(objectives) & set(DERIVED_OBJECTIVES) and not set(objectives) & set(SUPERNET_OBJECTIVES):
        raise ConfigError(
            f"prune.after is {prune.after} and objectives are {', '.join(objectives)}: a population that is compared "
            "before its stage's end has no short trainings, so nothing would say how well an individual does; allowed "
            f"is with {' or '.join(SUPERNET_OBJECTIVES)} among them, or leave prune.after empty"
        )


def _each(stages: Sequence[StageConfig], what: str) -> str:
    return ", ".join(str(getattr(stage, what)) for stage in stages)


def _check_left(prune: PruneConfig, stage: StageConfig, path: str, wanted: int, populations: int) -> None:
    kept = prune.kept(stage)
    if kept * populations >= wanted:
        return
    least = math.ceil((math.ceil(wanted / populations) - 0.5) / stage.size * 1000) / 1000
    raise ConfigError(
        f"prune.keep is {prune.keep:g}: {kept * populations} of {stage.size * populations} individuals of stage "
        f"{stage.name!r} would train to its end, and {path} asks for {wanted}; allowed is {least:g} to 1"
    )
