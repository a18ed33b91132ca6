"""Table IV: the networks along a search's line of descent, first stage to last, each trained at full size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from medarts_ops.errors import SearchError
from medarts_ops.experiment import Arm, ExperimentResult, Source
from medarts_ops.experiments.network import Network
from medarts_ops.experiments.protocol import (
    PublishedOn,
    error_bar,
    errors_of,
    estimated,
    measured,
    measured_column,
    parameters_of,
    published_on,
    summed_up,
)
from medarts_ops.experiments.statistics import paired_difference
from medarts_ops.individual import RankedIndividual, StageResult, lineage_of
from medarts_ops.published import TABLE_IV
from medarts_ops.summary import Bars, Cell, Column, Statistic, Summary

FIRST, MIDDLE, LAST = TABLE_IV  # their order there


def line_of_descent(stages: Sequence[StageResult], all_parents: bool = False) -> tuple[RankedIndividual, ...]:
    """From a random individual of the first stage to the last stage's best, first stage first.

    The parent of an inherited individual is its one. A child of several goes on with the first, which gave a crossover
    child its normal cell (ours; the paper says nothing of crossover here). With `all_parents` it goes on to all:
    all ancestors, each once, by stage and number.

    Raises:
        SearchError: the search has one stage, in which nobody descends from anybody.
    """
    if len(stages) < 2:
        raise SearchError(
            f"table4 follows a line of descent over a search's stages: got {len(stages)}, allowed are two or more; "
            "take a search of more stages"
        )
    ranked = {each.id: each for stage in stages for each in stage.ranked}
    if all_parents:
        family = [ranked[individual.id] for individual in lineage_of(stages, stages[-1].best.id)]
        return tuple(sorted(family, key=lambda each: (_stage_of(each), each.trained.individual.number)))
    line = [stages[-1].best]
    while parents := line[0].trained.individual.parents:
        line.insert(0, ranked[parents[0]])
    return tuple(line)


def descent_networks(
    stages: Sequence[StageResult], sources: Mapping[str, Source], all_parents: bool = False
) -> tuple[Network, ...]:
    """The networks to train of a search's line of descent; `sources` says by id where an individual was found.

    They are called g_init and g_best, g_mid between them in a search of three stages, else `g_` and the stage's name.
    Of several of one stage each has its individual's number, such as g_mid-03. Published figures are of the line alone.
    """
    family = line_of_descent(stages, all_parents)
    line = {each.id for each in line_of_descent(stages)}
    of_stage = [_stage_of(each) for each in family]
    networks = []
    for each, stage in zip(family, of_stage, strict=True):
        individual, label = each.trained.individual, _label(stages, stage)
        is_alone = of_stage.count(stage) == 1
        networks.append(
            Network(
                name=label if is_alone else f"{label}-{individual.number:02d}",
                genotype=each.trained.genotype,
                description=f"{individual.id}, {individual.origin}",
                source=sources.get(each.id),
                published_as=label if label in TABLE_IV and each.id in line else None,
            )
        )
    return tuple(networks)


def summarize_table4(result: ExperimentResult) -> Summary:
    """The table: test errors beside the paper's, and what each gains on the first, paired by seed."""
    plan, beside = result.plan, published_on(result.plan)
    how, first = measured(plan), plan.arms[0]
    columns = (
        Column("architecture", "architecture"),
        Column("parameters", "parameters", "count"),
        measured_column("error", "test error", "share", how),
        Column("published_error", f"published (ME-DARTS, Table IV, {beside.heading})", "percent", "published"),
        Column("difference", f"difference to {first.subject}, paired by seed", "signed_share", "measured here"),
    )
    bars = [error_bar(result, arm, _published(arm, beside) if beside.is_same else None) for arm in plan.arms]
    return summed_up(
        result,
        "Test errors along the line of descent, as ME-DARTS's Table IV",
        columns,
        [_row(result, arm, first, beside) for arm in plan.arms],
        statistics=_gain(result, beside),
        figure=Bars("test error", tuple(bars)),
        notes=["; ".join(f"{arm.subject} is {arm.description}" for arm in plan.arms)],
    )


def _row(result: ExperimentResult, arm: Arm, first: Arm, beside: PublishedOn) -> dict[str, Cell]:
    errors = errors_of(result, arm)
    difference = None if arm is first else paired_difference(errors_of(result, first), errors)
    return {
        "architecture": arm.subject,
        "parameters": parameters_of(result, arm),
        "error": estimated(errors),
        "published_error": _published(arm, beside),
        "difference": None if difference is None else difference[0],
    }


def _gain(result: ExperimentResult, beside: PublishedOn) -> tuple[Statistic, ...]:
    """The last against the first, in percentage points, and the p of its test."""
    first, last = result.plan.arms[0], result.plan.arms[-1]
    difference = paired_difference(errors_of(result, first), errors_of(result, last))
    if first is last or difference is None:
        return ()
    gain, p = difference
    what = f"{last.subject} − {first.subject}"
    published = TABLE_IV[LAST][beside.table] - TABLE_IV[FIRST][beside.table] if beside.is_same else None
    low, high = (None if end is None else 100 * end for end in (gain.low, gain.high))
    return (
        Statistic(
            "difference",
            f"test error of {what}, percentage points",
            100 * gain.mean,
            gain.n,
            low,
            high,
            published=None if published is None else round(published, 2),
            method="paired by seed; interval by Student's t",
        ),
        Statistic("difference_p", f"p of {what}", p, gain.n, method="paired t-test over seeds, two-sided"),
    )


def _published(arm: Arm, beside: PublishedOn) -> float | None:
    return None if arm.published_as is None else TABLE_IV[arm.published_as][beside.table]


def _stage_of(ranked: RankedIndividual) -> int:
    return ranked.trained.individual.stage


def _label(stages: Sequence[StageResult], index: int) -> str:
    if index in (0, len(stages) - 1):
        return LAST if index else FIRST
    if len(stages) == 3:
        return MIDDLE
    name = f"g_{stages[index].name}"
    return f"{name}.{index}" if name in TABLE_IV else name
