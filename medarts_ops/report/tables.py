"""The report's tables as plain rows: the settings, and each stage's individuals with who comes from whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from medarts_ops.config import EvaluateConfig, ResolvedSearchConfig, SearchConfig, StageConfig
from medarts_ops.config_writing import settings_of
from medarts_ops.evolution.ranking import chosen_from
from medarts_ops.individual import Individual, StageResult
from medarts_ops.objectives.registry import resolve_objectives
from medarts_ops.report.values import SearchReport, members_of


@dataclass(frozen=True)
class SettingLine:
    """A setting beside the default of its model; `default` is None where the model has no such place."""

    path: str
    value: Any
    default: Any
    origin: str
    description: str
    changed: bool


@dataclass(frozen=True)
class StageView:
    """A stage as the report shows it.

    Attributes:
        stage: its result.
        settings: its line of Table II.
        objectives: their names.
        varied: the hyperparameters that differ between its individuals.
        chosen: ids that go on; the one that was found, after the last stage.
        children: its crossover children.
        share: of the search cost so far, in 0…1.
        is_last: whether no stage follows.
    """

    stage: StageResult
    settings: StageConfig
    objectives: tuple[str, ...]
    varied: tuple[str, ...]
    chosen: frozenset[str]
    children: tuple[Individual, ...]
    share: float
    is_last: bool


def settings_table(config: SearchConfig | EvaluateConfig) -> tuple[SettingLine, ...]:
    """Every setting, in the model's order."""
    usual = SearchConfig() if isinstance(config, SearchConfig) else EvaluateConfig()
    if isinstance(config, ResolvedSearchConfig):
        usual = usual.model_copy(update={"objectives": resolve_objectives(SearchConfig().objectives)})
    defaults = {setting.path: setting.value for setting in settings_of(usual)}
    return tuple(
        SettingLine(
            setting.path,
            setting.value,
            defaults.get(setting.path),
            setting.origin,
            setting.description,
            setting.path not in defaults or setting.value != defaults[setting.path],
        )
        for setting in settings_of(config)
    )


def changed_settings(config: SearchConfig | EvaluateConfig) -> tuple[SettingLine, ...]:
    """The settings that are not at their defaults."""
    return tuple(line for line in settings_table(config) if line.changed)


def stage_view(report: SearchReport, stage: StageResult) -> StageView:
    """A finished stage with what its neighbours say of it."""
    individuals = members_of(stage)
    return StageView(
        stage=stage,
        settings=report.config.stages[stage.index],
        objectives=tuple(stage.ranked[0].evaluated.objectives) if stage.ranked else (),
        varied=_varied(individuals),
        chosen=chosen_from(stage, report.config.stages),
        children=tuple(one for one in individuals if one.origin == "crossover"),
        share=stage.seconds / report.seconds if report.seconds else 0.0,
        is_last=stage.index == len(report.config.stages) - 1,
    )


def _varied(individuals: Sequence[Individual]) -> tuple[str, ...]:
    values = [one.hyperparameters.model_dump() for one in individuals]
    return tuple(name for name in (values[0] if values else ()) if len({value[name] for value in values}) > 1)
