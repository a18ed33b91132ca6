"""The stages of a search (paper Table II)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Annotated

from pydantic import Discriminator, Field, Tag

from medarts_ops.errors import ConfigError
from medarts_ops.settings import (
    MAX_BATCH,
    MAX_CELLS,
    MAX_CHANNELS,
    MAX_EPOCHS,
    MAX_INDIVIDUALS,
    MAX_STEPS,
    Images,
    Settings,
    setting,
)


class ChildrenConfig(Settings):
    """How many children each operator makes of a stage's survivors."""

    swap: int = setting(0, "paper", "by cell swap, the paper's crossover", ge=0, le=MAX_INDIVIDUALS)
    nodewise: int = setting(0, "ours", "by node-wise crossover of two survivors", ge=0, le=MAX_INDIVIDUALS)
    mutation: int = setting(0, "ours", "by mutation of one survivor, best first in turn", ge=0, le=MAX_INDIVIDUALS)
    consensus: int = setting(0, "ours", "mean of all survivors, one at most", ge=0, le=MAX_INDIVIDUALS)

    @property
    def total(self) -> int:
        return self.swap + self.nodewise + self.mutation + self.consensus

    def possible_with(self, survivors: int) -> ChildrenConfig:
        """What comes of the plan with so many survivors: a crossover needs two, and each couple gives two children."""
        pairs = survivors * (survivors - 1)
        return ChildrenConfig(
            swap=min(self.swap, pairs),
            nodewise=min(self.nodewise, pairs),
            mutation=self.mutation if survivors else 0,
            consensus=min(self.consensus, int(survivors > 1)),  # one survivor's would be its heir once more
        )


def _kind_of_children(given: object) -> str:
    return "dict" if isinstance(given, Mapping | ChildrenConfig) else "int"


class StageConfig(Settings):
    """One stage (paper Table II). The first has a `population`, later ones `survivors` and `children`."""

    without_effect = frozenset({"least_steps"})  # beside the epochs that come of it
    added_later = frozenset({"warmup", "alpha_rate"})

    name: str = setting(
        "init", "paper", "the stage's name: small letters, digits and _", pattern=r"^[a-z0-9_]+$", max_length=40
    )
    cells: int = setting(4, "paper", "cells of the supernet; below 3 there is no normal cell", ge=3, le=MAX_CELLS)
    channels: int = setting(16, "ours", "channels of the supernet's first cells", ge=1, le=MAX_CHANNELS)
    epochs: int = setting(5, "paper", "epochs of search training", ge=1, le=MAX_EPOCHS)
    least_steps: int = setting(
        0,
        "ours",
        "steps of w that the stage takes at least: with fewer in its epochs it is given more, which are recorded",
        ge=0,
        le=MAX_STEPS,
    )
    images: Images = setting(
        10_000, "paper", "size of D_sample before halving; a share up to 1.0 takes that part of the largest possible"
    )
    batch: int = setting(64, "DARTS", "images a step takes of each half", ge=1, le=MAX_BATCH)
    population: int | None = setting(None, "ours", "random individuals of the first stage", ge=1, le=MAX_INDIVIDUALS)
    survivors: int | None = setting(
        None, "ours", "individuals that go on from the stage before", ge=1, le=MAX_INDIVIDUALS
    )
    children: Annotated[
        Annotated[int, Field(ge=0, le=MAX_INDIVIDUALS), Tag("int")] | Annotated[ChildrenConfig, Tag("dict")],
        Discriminator(_kind_of_children),
    ] = setting(
        0,
        "ours",
        "children trained beside the survivors: so many by cell swap, as the paper's, or some by each operator",
    )
    warmup: float | None = setting(
        None,
        "ours",
        "share of the stage's epochs, to the nearest one, that train w only (P-DARTS, PC-DARTS and DrNAS 0.3 to 0.4); "
        "it goes before an individual's own and before alpha.warmup, to which empty leaves it",
        ge=0,
        lt=1,
    )
    alpha_rate: float = setting(1.0, "ours", "factor of the individuals' learning rates of α in this stage", gt=0)

    @property
    def planned_children(self) -> ChildrenConfig:
        """How many by each operator; a plain number is of cell swaps."""
        return self.children if isinstance(self.children, ChildrenConfig) else ChildrenConfig(swap=self.children)

    @property
    def size(self) -> int:
        return self.population if self.population is not None else (self.survivors or 0) + self.planned_children.total

    def warmup_epochs(self, share: float | None, otherwise: int) -> int:
        """The first epochs that train w only: `warmup` of the stage's, else an individual's `share`, else `otherwise`.

        A share is taken to the nearest epoch, the later of two, and leaves at least one to train α.
        """
        share = share if self.warmup is None else self.warmup
        return otherwise if share is None else min(nearest(share, self.epochs), self.epochs - 1)

    def least_epochs(self, share: float | None, otherwise: int) -> int:
        """The fewest epochs of which one is left to train α, with the search's own `alpha.warmup…`."""
        share = share if self.warmup is None else self.warmup
        if share is None:
            return otherwise + 1
        return next(epochs for epochs in count(1) if nearest(share, epochs) < epochs)


def nearest(share: float, whole: int) -> int:
    """A share, in 0…1, of a whole number, to the nearest one: of two as near the larger."""
    return int(share * whole + 0.5)


TABLE_II = (
    StageConfig(name="init", cells=4, epochs=5, images=10_000, population=8),
    StageConfig(name="mid", cells=6, epochs=5, images=10_000, survivors=4, children=4),
    StageConfig(name="final", cells=8, epochs=15, images=20_000, survivors=1),
)


def check_stages(stages: Sequence[StageConfig]) -> None:
    """Refuse stages that can't follow each other, by a ConfigError that names the stage and the setting."""
    if not stages:
        raise ConfigError("stages is empty: allowed is one stage or more")
    names = [stage.name for stage in stages]
    if len(set(names)) != len(names):
        raise ConfigError(f"stages have the names {names}: each must be used once")
    first = stages[0]
    if first.population is None:
        raise ConfigError("stages.0.population is missing: the first stage needs a number of random individuals")
    if first.survivors is not None or first.planned_children.total:
        raise ConfigError("stages.0 has survivors or children: the first stage has a population only")
    for index, (earlier, stage) in enumerate(zip(stages, stages[1:], strict=False), start=1):
        _check_later_stage(f"stages.{index}", earlier, stage)


def _check_later_stage(path: str, earlier: StageConfig, stage: StageConfig) -> None:
    if stage.population is not None:
        raise ConfigError(f"{path}.population is set: later stages have survivors and children instead")
    if stage.survivors is None:
        raise ConfigError(f"{path}.survivors is missing: say how many individuals go on from stage {earlier.name!r}")
    if stage.survivors > earlier.size:
        raise ConfigError(
            f"{path}.survivors is {stage.survivors}: stage {earlier.name!r} has {earlier.size} individuals, "
            f"allowed are 1 to {earlier.size}"
        )
    planned, possible = stage.planned_children, stage.planned_children.possible_with(stage.survivors)
    for (name, wanted), (_, most) in zip(planned, possible, strict=True):
        if wanted > most:
            of_one_kind = not isinstance(stage.children, ChildrenConfig)
            setting_path, kind = (path + ".children", "crossover") if of_one_kind else (f"{path}.children.{name}", name)
            survivors = "1 survivor gives" if stage.survivors == 1 else f"{stage.survivors} survivors give"
            how = f"set it to {most} or less" if most else "set it to 0"
            more = f", or raise {path}.survivors" if kind != "consensus" or not most else ""
            raise ConfigError(f"{setting_path} is {wanted}: {survivors} at most {most} {kind} children; {how}{more}")


def check_warmup(stages: Sequence[StageConfig], share: float | None, epochs: int) -> None:
    """Refuse a stage that would never train α; `share` and `epochs` are the search's own, `alpha.warmup…`."""
    if share is not None and epochs:
        raise ConfigError(
            f"alpha.warmup is {share} and alpha.warmup_epochs is {epochs}: both say how long α warms up; set one"
        )
    for index, stage in enumerate(stages):
        of_stage = stage.warmup is not None
        path, warmup = (f"stages.{index}.warmup", stage.warmup) if of_stage else ("alpha.warmup", share)
        if warmup is not None and nearest(warmup, stage.epochs) >= stage.epochs:
            raise ConfigError(
                f"{path} is {warmup}, to the nearest all of stage {stage.name!r}'s epochs ({stage.epochs}): allowed is "
                f"less than {(stage.epochs - 0.5) / stage.epochs:.4g}, since α would never be trained"
            )
    shortest = min((stage.epochs for stage in stages if stage.warmup is None), default=epochs + 1)
    if epochs >= shortest:
        raise ConfigError(
            f"alpha.warmup_epochs is {epochs} and the shortest stage has {shortest} epochs: allowed is fewer, since α "
            "would never be trained"
        )


def check_proposed_warmup(stages: Sequence[StageConfig], highest: float | None) -> None:
    """Raises a ConfigError if proposals of `alpha_warmup` up to `highest` (None: none) are too high, or in vain."""
    if highest is None:
        return
    if highest >= 1:
        raise ConfigError(
            f"proposals.space.alpha_warmup.high is {highest}: allowed is below 1, a share of a stage's epochs"
        )
    if all(stage.warmup is not None for stage in stages):
        raise ConfigError(
            "proposals.space.alpha_warmup would change nothing: every stage has a warmup of its own, which goes "
            "before an individual's; leave stages.*.warmup empty where proposals say it"
        )
