"""Sweeps: any searches and evaluations side by side, each against the first, over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, TypeVar

from medarts_ops.config import EvaluateConfig, ResolvedEvaluateConfig, ResolvedSearchConfig, SearchConfig
from medarts_ops.data.dataset import ImageDataset
from medarts_ops.data.registry import load_dataset
from medarts_ops.errors import ConfigError
from medarts_ops.experiment import PARAMETERS, TEST_ERROR, Arm, ExperimentPlan, ExperimentResult
from medarts_ops.experiments.checks import check_can_be_trained
from medarts_ops.experiments.network import ArmSettings, distinct_names
from medarts_ops.experiments.protocol import estimated, measured, measured_column, summed_up
from medarts_ops.experiments.statistics import paired_difference
from medarts_ops.objectives.shown import axis
from medarts_ops.observers import DatasetSummary
from medarts_ops.resolving import resolve_evaluation, resolve_search_config
from medarts_ops.space.genotype import Genotype
from medarts_ops.summary import Bar, Bars, Cell, Column, Form, Summary

Asked = TypeVar("Asked", SearchConfig, EvaluateConfig)

FORMS: dict[float, Form] = {100.0: "share", 1e-6: "millions"}
"""How an objective is shown, by the factor of its unit; any other as a number."""


class SweepArm(NamedTuple):
    """One of the things swept over, with its images; `search`, `evaluation` and `genotype` as in `Arm`."""

    name: str
    subject: str
    search: ResolvedSearchConfig | None
    evaluation: ResolvedEvaluateConfig | None
    genotype: Genotype | None
    dataset: DatasetSummary


class _Measure(NamedTuple):
    """What is compared between arms; its `label` may be on an axis, with its unit."""

    kind: Literal["search", "evaluation"]
    name: str
    label: str
    form: Form

    @property
    def key(self) -> str:
        """Its column: `error`, `parameters`, `search_accuracy`."""
        if self.kind == "search":
            return f"search_{self.name}"
        return "error" if self.name == TEST_ERROR else self.name


def resolved_arms(arms: Sequence[ArmSettings]) -> tuple[SweepArm, ...]:
    """The arms as this machine gives them, with their images, which are read to be summed up.

    Raises:
        MedartsError: as resolving settings does, or for whatever is wrong with the data.
    """
    datasets: dict[str, ImageDataset] = {}
    taken: dict[str, int] = {}
    names = distinct_names([arm.name or arm.subject for arm in arms])
    found = []
    for arm, name in zip(arms, names, strict=True):
        search = None
        if arm.search is not None:
            search = resolve_search_config(_as_earlier(arm.search, "matrix_side", taken))[0]
            taken[_asked(arm.search)] = search.runtime.matrix_side
        config = arm.evaluation or arm.search
        if config is None:
            raise ConfigError(f"arm {arm.subject!r} has no settings: give a search, an evaluation, or both")
        key = config.dataset.model_dump_json()
        evaluation = None
        if arm.evaluation is not None:
            asked = _as_earlier(arm.evaluation, "channels_last", taken)
            evaluation, datasets[key] = resolve_evaluation(asked, datasets.get(key), side_by_side=True)
            taken[_asked(arm.evaluation)] = evaluation.runtime.channels_last
            check_can_be_trained(evaluation, datasets[key])
        elif key not in datasets:
            datasets[key] = load_dataset(config.dataset)
        summary = datasets[key].summary(None)
        found.append(SweepArm(name, arm.subject, search, evaluation, arm.genotype, summary))
    return tuple(found)


def _as_earlier(config: Asked, layout: str, taken: Mapping[str, int]) -> Asked:
    """The same with the layout that an earlier arm took which asked for the same.

    It is found by timing, where a machine's whim would tell arms apart, and keep equal trainings from being one.
    """
    known = taken.get(_asked(config))
    if known is None:
        return config
    return config.model_copy(update={"runtime": config.runtime.model_copy(update={layout: known})})


def _asked(config: SearchConfig | EvaluateConfig) -> str:
    return config.runtime.model_dump_json() + config.dataset.model_dump_json()


def plan_sweep(arms: Sequence[SweepArm], *, seeds: Sequence[int], workers: int) -> ExperimentPlan:
    """Each arm with each seed; the first is what the others are compared with."""
    return ExperimentPlan(
        kind="sweep",
        scale="own",
        seeds=tuple(seeds),
        arms=tuple(
            Arm(
                name=arm.name,
                subject=arm.subject,
                fingerprint=arm.dataset.fingerprint,
                search=arm.search,
                evaluation=arm.evaluation,
                genotype=arm.genotype,
            )
            for arm in arms
        ),
        datasets={arm.dataset.fingerprint: arm.dataset for arm in arms},
        workers=workers,
    )


def summarize_sweep(result: ExperimentResult) -> Summary:
    """The table: each measure of each arm, its cost, and its difference to the first, paired by seed.

    The difference, its p and the figure are of the test error where the first arm is evaluated, else of the searches'
    first objective, accuracy.
    """
    plan = result.plan
    measures = _measures(plan.arms)
    main = measures[0]
    searched = any(arm.search is not None for arm in plan.arms)
    evaluated = any(arm.evaluation is not None for arm in plan.arms)
    columns = [
        Column("arm", "arm"),
        measured_column(main.key, main.label, main.form, measured(plan, _arms_with(plan, main))),
        Column("standard_error", "standard error", main.form, "measured here"),
        Column("n", "n", "count"),
        *(Column(each.key, each.label, each.form, "measured here") for each in measures[1:]),
        *([_cost_column("search_seconds", "time of search")] if searched else []),
        *([_cost_column("evaluation_seconds", "time of evaluation")] if evaluated else []),
        Column("difference", f"{main.label}: difference to {plan.arms[0].subject}", "signed_share", "measured here"),
        Column("p", "p of the paired t-test", "p", "measured here"),
    ]
    values = [_values(result, arm, main) for arm in plan.arms]
    bars = [
        Bar(arm.subject, estimated(found), tuple(found.values())) for arm, found in zip(plan.arms, values, strict=True)
    ]
    return summed_up(
        result,
        f"{main.label.capitalize()} of {len(plan.arms)} settings",
        columns,
        [_row(result, arm, measures) for arm in plan.arms],
        figure=Bars(main.label, tuple(bars)),
    )


def _measures(arms: Sequence[Arm]) -> list[_Measure]:
    """All that is measured of any arm, what decides first."""
    error = _Measure("evaluation", TEST_ERROR, "test error", "share")
    parameters = _Measure("evaluation", PARAMETERS, "parameters", "millions")
    names = dict.fromkeys(each.name for arm in arms if arm.search is not None for each in arm.search.objectives)
    objectives = [
        _Measure("search", name, f"{name} of the search", FORMS.get(axis(name)[1], "number")) for name in names
    ]
    evaluations = [error, parameters] if any(arm.evaluation is not None for arm in arms) else []
    return [*evaluations, *objectives] if arms[0].evaluation is not None else [*objectives, *evaluations]


def _arms_with(plan: ExperimentPlan, measure: _Measure) -> list[Arm]:
    return [arm for arm in plan.arms if measure.kind == "evaluation" and arm.evaluation is not None]


def _cost_column(key: str, what: str) -> Column:
    return Column(key, f"{what}, a seed", "seconds", "measured here")


def _values(result: ExperimentResult, arm: Arm, measure: _Measure) -> dict[int, float]:
    """By seed; arms may have different objectives."""
    finished = result.of_arm(arm, measure.kind)
    return {seed: one.measures[measure.name] for seed, one in finished.items() if measure.name in one.measures}


def _row(result: ExperimentResult, arm: Arm, measures: Sequence[_Measure]) -> dict[str, Cell]:
    first, main = result.plan.arms[0], measures[0]
    compared = None
    if arm is not first:
        compared = paired_difference(_values(result, first, main), _values(result, arm, main))
    estimates = {each.key: estimated(_values(result, arm, each)) for each in measures}
    decides = estimates[main.key]
    exact = {key: int(each.mean) for key, each in estimates.items() if key == PARAMETERS and each and not each.std}
    return {
        "arm": arm.subject,
        **estimates,
        **exact,  # of one genotype that was given: nothing varies
        "standard_error": None if decides is None else decides.sem,
        "n": 0 if decides is None else decides.n,
        "search_seconds": _mean_seconds(result, arm, "search"),
        "evaluation_seconds": _mean_seconds(result, arm, "evaluation"),
        "difference": None if compared is None else compared[0],
        "p": None if compared is None else compared[1],
    }


def _mean_seconds(result: ExperimentResult, arm: Arm, kind: Literal["search", "evaluation"]) -> float | None:
    cost = estimated({seed: one.seconds for seed, one in result.of_arm(arm, kind).items()})
    return None if cost is None else cost.mean
