"""What every experiment says beside its numbers: how it was measured, what failed, what was taken over, what lacks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from medarts_ops.config_prune import PruneConfig
from medarts_ops.config_stages import StageConfig
from medarts_ops.data.evaluation_images import training_images
from medarts_ops.experiment import PARAMETERS, TEST_ERROR, Arm, ExperimentPlan, ExperimentResult
from medarts_ops.experiments.network import Setting
from medarts_ops.experiments.statistics import estimate
from medarts_ops.observers import DatasetSummary
from medarts_ops.published import DATASETS, Table, table_of
from medarts_ops.quantities import counted
from medarts_ops.summary import Bar, Bars, Cell, Column, Estimate, Form, Pairs, Statistic, Summary


class PublishedOn(NamedTuple):
    """The dataset whose published figures stand beside those measured here, and whether it is the same one."""

    table: Table
    is_same: bool

    @property
    def heading(self) -> str:
        """What its column says, after the figure's name."""
        return DATASETS[self.table]


def published_on(plan: ExperimentPlan) -> PublishedOn:
    """Where the experiment's dataset has no published figures, CIFAR-10's, which are then another dataset's."""
    table = table_of(_dataset(plan, plan.arms[0]).name)
    return PublishedOn(table or "cifar10", table is not None)


def errors_of(result: ExperimentResult, arm: Arm) -> dict[int, float]:
    """The test errors of an arm's finished evaluations, by seed."""
    return {seed: one.measures[TEST_ERROR] for seed, one in result.of_arm(arm, "evaluation").items()}


def estimated(by_seed: Mapping[int, float]) -> Estimate | None:
    """The estimate of what was measured; None of nothing."""
    return estimate(list(by_seed.values())) if by_seed else None


def parameters_of(result: ExperimentResult, arm: Arm) -> int | None:
    """The parameters of a given genotype's network, alike with each seed; None before one is trained."""
    return next((int(one.measures[PARAMETERS]) for one in result.of_arm(arm, "evaluation").values()), None)


def error_bar(result: ExperimentResult, arm: Arm, published: float | None) -> Bar:
    """The bar of an arm's test errors, beside a figure published in percent."""
    errors = errors_of(result, arm)
    return Bar(arm.subject, estimated(errors), tuple(errors.values()), None if published is None else published / 100)


def summed_up(
    result: ExperimentResult,
    title: str,
    columns: Sequence[Column],
    rows: Sequence[Mapping[str, Cell]],
    *,
    statistics: Sequence[Statistic] = (),
    figure: Bars | Pairs | None = None,
    notes: Sequence[str] = (),
) -> Summary:
    """The summary, with all that every kind of experiment says alike; `notes` stand before those."""
    plan = result.plan
    return Summary(
        name=result.name,
        kind=plan.kind,
        scale=plan.scale,
        title=title,
        caption=caption(plan),
        columns=tuple(columns),
        rows=tuple(rows),
        statistics=tuple(statistics),
        figure=figure,
        failures=failure_lines(result),
        notes=(*notes, *notes_of(result)),
    )


def measured(plan: ExperimentPlan, arms: Sequence[Arm] | None = None) -> str:
    """`measured here (3 seeds, 8 epochs, 4,000 images)`, of the evaluations of `arms` (None: all)."""
    settings = _settings(plan, plan.arms if arms is None else arms)
    said = [counted(len(plan.seeds), "seed")]
    if settings:
        said.append(_epochs([one.config.epochs for one in settings]))
        said.append(f"{_span([training_images(*one) for one in settings])} images")
    return f"measured here ({', '.join(said)})"


def measured_column(key: str, what: str, form: Form, how: str) -> Column:
    """A column of what was measured here; `how` is what `measured` says."""
    return Column(key, f"{what}, {how}", form, "measured here")


def caption(plan: ExperimentPlan) -> str:
    """The protocol in a few sentences: scale, seeds, networks, epochs, images, resolution."""
    seeds = f"seed{'s' * (len(plan.seeds) > 1)} {', '.join(map(str, plan.seeds))}"
    scale = "own settings" if plan.scale == "own" else f"scale {plan.scale}"
    searched = [arm for arm in plan.arms if arm.search is not None]
    sentences = [f"{scale.capitalize()}; {seeds}.", *([_searches(plan, searched)] if searched else [])]
    if settings := _settings(plan, plan.arms):
        count = len({arm.subject for arm in plan.arms})
        sentences.append(_evaluations("Networks" if plan.kind == "sweep" else counted(count, "network"), settings))
    return " ".join(sentences)


def failure_lines(result: ExperimentResult) -> tuple[str, ...]:
    """A line for each training that failed."""
    return tuple(f"{one.key} {one.cause.replace('_', ' ')}: {one.reason}" for one in result.failed)


def notes_of(result: ExperimentResult) -> tuple[str, ...]:
    """The plan's notes; then how much is done of an unfinished experiment, and what was taken over from before."""
    trainings = result.plan.trainings
    said = list(result.plan.notes)
    if len(result.outcomes) < len(trainings):
        said.append(f"unfinished: {len(result.outcomes)} of {counted(len(trainings), 'training')} are done")
    arms = {one.key: one.arm.subject for one in trainings}
    equal = {arms[one.key]: arms[one.same_as] for one in result.finished if one.same_as is not None}
    said += [f"{arm} has the genotype of {first}: it was trained once, for both" for arm, first in equal.items()]
    taken = result.taken_over
    if taken:
        seeds: dict[str, list[str]] = {}
        for one in trainings:
            if one.key in taken:
                what = one.arm.name if one.kind == "evaluation" else f"{one.arm.name} (search)"
                seeds.setdefault(what, []).append(str(one.seed))
        whose = "; ".join(f"{what}, seed {', '.join(of)}" for what, of in seeds.items())
        said.append(f"{len(taken)} of {counted(len(trainings), 'training')} taken over from before: {whose}")
    return tuple(said)


def _dataset(plan: ExperimentPlan, arm: Arm) -> DatasetSummary:
    return plan.datasets[arm.fingerprint]


def _settings(plan: ExperimentPlan, arms: Sequence[Arm]) -> list[Setting]:
    return [Setting(arm.evaluation, _dataset(plan, arm)) for arm in arms if arm.evaluation is not None]


def _evaluations(networks: str, settings: Sequence[Setting]) -> str:
    configs, datasets = [one.config for one in settings], [one.dataset for one in settings]
    images = _span([training_images(*one) for one in settings])
    sides = _each([f"{height}×{width}" for height, width in (each.resolution for each in datasets)])
    sources = _each([f"{each.n_test:,} images ({each.test_source})" for each in datasets])
    return (
        f"{networks} of {_span([one.cells for one in configs])} cells and {_span([one.channels for one in configs])} "
        f"channels, trained for {_epochs([one.epochs for one in configs])} on {images} images of "
        f"{_each([each.name for each in datasets])} at {sides} in batches of {_span([one.batch for one in configs])}; "
        f"tested on {sources}."
    )


def _searches(plan: ExperimentPlan, arms: Sequence[Arm]) -> str:
    trained = {(arm.search.stages, arm.search.prune) for arm in arms if arm.search is not None}
    on = _each([_dataset(plan, arm).name for arm in arms])
    if len(trained) > 1:
        return f"Searches on {on} of different stages, as the settings of each say."
    stages, prune = next(iter(trained))
    return f"Searches on {on} of {'; '.join(_stage(stage, prune) for stage in stages)}."


def _stage(stage: StageConfig, prune: PruneConfig) -> str:
    images, kept = f"{stage.images:,}" if isinstance(stage.images, int) else f"{100 * stage.images:g} % of the", ""
    if prune.kept(stage) < stage.size:
        kept = f", of which {prune.kept(stage)} go on after {_epochs([prune.after or 0])}"
    return (
        f"{stage.name}: {stage.size} × {stage.cells} cells, {stage.channels} channels, {_epochs([stage.epochs])}, "
        f"{images} images{kept}"
    )


def _epochs(values: Sequence[int]) -> str:
    return counted(1, "epoch") if set(values) == {1} else f"{_span(values)} epochs"


def _span(values: Sequence[int]) -> str:
    """`8`, or `5 to 10` where arms differ."""
    low, high = min(values), max(values)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _each(words: Sequence[str]) -> str:
    """Different ones, once each."""
    return " and ".join(dict.fromkeys(words))
