"""The report's tables as plain rows: the settings, and each stage's individuals with who comes from whom."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, get_args

from medarts_ops.config import EvaluateConfig, ResolvedSearchConfig, SearchConfig, StageConfig
from medarts_ops.config_writing import settings_of
from medarts_ops.evolution.ranking import chosen_from
from medarts_ops.individual import ChildOrigin, Individual, StageResult
from medarts_ops.objectives.registry import resolve_objectives
from medarts_ops.report.values import SearchReport
from medarts_ops.space.differences import genotype_differences


@dataclass(frozen=True)
class SettingLine:
    """A setting beside the default of its model; `default` is None where the model has no such place."""

    path: str
    value: Any
    default: Any
    origin: str
    description: str
    changed: bool


class Agreement(NamedTuple):
    """How many of a genotype's `total` operations the mixtures say, too, edge by edge."""

    individual: str
    equal: int
    total: int


@dataclass(frozen=True)
class StageView:
    """A stage as the report shows it.

    Attributes:
        settings: its line of Table II.
        varied: the hyperparameters that differ between its individuals.
        children: its individuals that an operator made.
        chosen: ids that go on; of the last stage what the search finds of it, where it finds it there.
        share: of the search cost so far, in 0…1.
        agreements: of its individuals that were read by worth.
        taken: ids of those that go on with an α and a genotype not of their last epoch, and whose.
    """

    stage: StageResult
    settings: StageConfig
    objectives: tuple[str, ...]
    varied: tuple[str, ...]
    chosen: frozenset[str]
    children: tuple[Individual, ...]
    share: float
    is_last: bool
    agreements: tuple[Agreement, ...]
    taken: tuple[tuple[str, str], ...]


def settings_table(config: SearchConfig | EvaluateConfig) -> tuple[SettingLine, ...]:
    """Every setting, in the model's order."""
    usual = SearchConfig() if isinstance(config, SearchConfig) else EvaluateConfig()
    if isinstance(config, ResolvedSearchConfig):
        usual = usual.model_copy(update={"objectives": resolve_objectives(SearchConfig().objectives)})
    defaults = {setting.path: setting.value for setting in settings_of(usual)}
    lines = []
    for setting in settings_of(config):
        changed = setting.path not in defaults or setting.value != defaults[setting.path]
        lines.append(SettingLine(**setting._asdict(), default=defaults.get(setting.path), changed=changed))
    return tuple(lines)


def changed_settings(config: SearchConfig | EvaluateConfig) -> tuple[SettingLine, ...]:
    """The settings that are not at their defaults."""
    return tuple(line for line in settings_table(config) if line.changed)


def stage_view(report: SearchReport, stage: StageResult) -> StageView:
    """A finished stage with what its neighbours say of it."""
    individuals = stage.individuals
    drawn = [one.hyperparameters.values for one in individuals]
    return StageView(
        stage=stage,
        settings=report.config.stages[stage.index],
        objectives=tuple(stage.ranked[0].evaluated.objectives) if stage.ranked else (),
        varied=tuple(name for name in drawn[0] if len({values[name] for values in drawn}) > 1) if drawn else (),
        chosen=chosen_from(stage, report.config),
        children=tuple(one for one in individuals if one.origin in get_args(ChildOrigin)),
        share=stage.seconds / report.seconds if report.seconds else 0.0,
        is_last=stage.index == len(report.config.stages) - 1,
        agreements=tuple(_agreements(stage)),
        taken=tuple((one.id, one.trained.taken_from) for one in stage.ranked if one.trained.taken_from is not None),
    )


def how_made(child: Individual) -> str:
    """Half a sentence on what a child has from whom."""
    parents = child.parents
    match child.origin:
        case "crossover":
            return f"{child.id} has the normal cell of {parents[0]} and the reduction cell of {parents[1]}"
        case "nodewise":
            return f"{child.id} has each node of {parents[0]} or of {parents[1]}"
        case "mutation":
            return f"{child.id} is {parents[0]} with a part of its edges changed at random"
        case "consensus":
            return f"{child.id} is the mean of {', '.join(parents)}"
        case "random" | "inherited":
            return f"{child.id} is {child.origin}"


def _agreements(stage: StageResult) -> Iterator[Agreement]:
    for one in stage.ranked:
        genotype, other = one.trained.genotype, one.trained.mixture_genotype
        if other is not None:
            equal = genotype_differences([genotype, other]).equal
            yield Agreement(one.id, equal, len(genotype.normal) + len(genotype.reduce))
