"""Fig. 5 and Fig. 6: do networks keep their order on fewer images, or on smaller ones? Ordered pairs of accuracies."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from medarts_ops.config import EvaluateConfig
from medarts_ops.data.evaluation_images import training_images
from medarts_ops.data.proxy import LEAST_PER_CLASS
from medarts_ops.data.resolution import SMALLEST_SIDE
from medarts_ops.errors import ConfigError
from medarts_ops.experiment import ExperimentKind, ExperimentPlan, ExperimentResult, Scale
from medarts_ops.experiments.network import Network, Setting, key_of, plan_networks
from medarts_ops.experiments.protocol import (
    errors_of,
    estimated,
    measured,
    measured_column,
    parameters_of,
    summed_up,
)
from medarts_ops.experiments.statistics import RESAMPLES, CorrelationKind, correlation, least_squares_line
from medarts_ops.published import FIG_5_CORRELATION, FIG_6_CORRELATION
from medarts_ops.summary import Cell, Column, Estimate, Pairs, Point, Statistic, Summary

LEAST_NETWORKS = 3
"""Fewer have no correlation worth the name (ours)."""

PUBLISHED = {"fig5": FIG_5_CORRELATION, "fig6": FIG_6_CORRELATION}

PUBLISHED_NOTE = "The published correlation is of 10 networks on CIFAR-10, 8 cells, 100 epochs, means of 5 trainings."

RANK_NOTE = (
    "The pooled correlation mostly shows that more images help every network. Whether fewer images rank networks as "
    "more do, which is what a search needs, is in the rank correlations of each pair of sizes by itself."
)


def plan_fig5(
    networks: Sequence[Network],
    setting: Setting,
    sizes: Sequence[int] | None,
    *,
    seeds: Sequence[int],
    scale: Scale,
    workers: int,
) -> ExperimentPlan:
    """Each network on each number of images, with each seed: samples of one seed are nested.

    Args:
        sizes: rising numbers of training images; None takes equal steps up to all that the setting trains on, five as
            the paper's 10,000 to 50,000, three at small scale.

    Raises:
        ConfigError: fewer than three networks; sizes that don't rise, are fewer than two, or more or fewer images than
            there can be.
    """
    _check_networks(networks, "fig5")
    settings = _settings_of_sizes(setting, sizes, 3 if scale == "small" else 5)
    return plan_networks("fig5", networks, settings, seeds=seeds, scale=scale, workers=workers)


def low_config(config: EvaluateConfig, resolution: tuple[int, int]) -> EvaluateConfig:
    """Fig. 6's settings at half of `resolution` (height, width) of the images: half the side, half the cutout.

    Raises:
        ConfigError: images that are not square, or half of them would be smaller than networks take.
    """
    if resolution[0] != resolution[1]:
        raise ConfigError(
            f"fig6 halves square images, these are {resolution[0]}×{resolution[1]}: give --resolution N, which makes "
            "them square"
        )
    side = min(resolution) // 2
    if side < SMALLEST_SIDE:
        height, width = resolution
        least = 2 * SMALLEST_SIDE
        raise ConfigError(
            f"fig6 halves images of {height}×{width}: allowed are {least}×{least} or larger; take larger images or set "
            f"dataset.resolution={least}"
        )
    dataset = config.dataset.model_copy(update={"resolution": side})
    augment = config.augment.model_copy(update={"cutout": config.augment.cutout // 2})
    return config.model_copy(update={"dataset": dataset, "augment": augment})


def plan_fig6(
    networks: Sequence[Network], low: Setting, full: Setting, *, seeds: Sequence[int], scale: Scale, workers: int
) -> ExperimentPlan:
    """Each network at half resolution and at full, with each seed; `low` has the settings that `low_config` gives.

    Raises:
        ConfigError: fewer than three networks.
    """
    _check_networks(networks, "fig6")
    settings = {_size(each): each for each in (low, full)}
    return plan_networks("fig6", networks, settings, seeds=seeds, scale=scale, workers=workers)


def summarize_pairs(result: ExperimentResult) -> Summary:
    """The table of accuracies; the pairs of adjacent conditions, their line and their correlations."""
    plan = result.plan
    conditions = list(dict.fromkeys(arm.condition for arm in plan.arms))
    accuracies = _accuracies(result)
    points = [
        Point(accuracies[subject, low].mean, accuracies[subject, high].mean, subject, f"{low} → {high}")
        for low, high in pairwise(conditions)
        for subject in dict.fromkeys(arm.subject for arm in plan.arms)
        if (subject, low) in accuracies and (subject, high) in accuracies
    ]
    line = least_squares_line([point.x for point in points], [point.y for point in points])
    fewer, more = ("fewer images", "the next larger number") if plan.kind == "fig5" else conditions
    what = ("images", "Fig. 5") if plan.kind == "fig5" else ("resolution", "Fig. 6")
    return summed_up(
        result,
        f"Accuracy of networks by {what[0]}, as ME-DARTS's {what[1]}",
        _columns(plan, conditions),
        _rows(result, accuracies),
        statistics=_statistics(plan.kind, points),
        figure=Pairs(
            f"test accuracy, {fewer}",
            f"test accuracy, {more}",
            tuple(points),
            None if line is None else line.slope,
            None if line is None else line.intercept,
        ),
        notes=[*([RANK_NOTE] if plan.kind == "fig5" else []), PUBLISHED_NOTE],
    )


def _check_networks(networks: Sequence[Network], kind: ExperimentKind) -> None:
    if len(networks) < LEAST_NETWORKS:
        raise ConfigError(
            f"{kind} correlates the accuracies of networks: got {len(networks)}, allowed are {LEAST_NETWORKS} or more"
        )


def _settings_of_sizes(setting: Setting, sizes: Sequence[int] | None, steps: int) -> dict[str, Setting]:
    """The setting at each number of images, by the condition's name."""
    config, dataset = setting
    n, all_images, n_classes = training_images(config, dataset), dataset.n_train, len(dataset.class_names)
    asked = [n * step // steps for step in range(1, steps + 1)] if sizes is None else list(sizes)
    got, least = f"fig5's sizes are {', '.join(f'{size:,}' for size in asked)}", LEAST_PER_CLASS * n_classes
    if not all(least <= size <= all_images for size in asked):
        raise ConfigError(
            f"{got}: allowed are {least:,} images ({LEAST_PER_CLASS} of each class) to {all_images:,}, which "
            f"{dataset.name} has to train; give other sizes or more images"
        )
    settings = {}
    for size in asked:
        sized = Setting(config.model_copy(update={"images": None if size == all_images else size}), dataset)
        settings[f"{training_images(*sized):,} images"] = sized
    trained_on = [training_images(*sized) for sized in settings.values()]
    if len(settings) < max(2, len(asked)) or trained_on != sorted(trained_on):
        raise ConfigError(
            f"{got}: allowed are two or more that rise, by one image of each class ({n_classes}) at least"
        )
    return settings


def _size(setting: Setting) -> str:
    height, width = setting.dataset.resolution
    return f"{height}×{width}"


def _accuracies(result: ExperimentResult) -> dict[tuple[str, str], Estimate]:
    """By subject and condition, of what is trained already."""
    found = {}
    for arm in result.plan.arms:
        accuracy = estimated({seed: 1 - error for seed, error in errors_of(result, arm).items()})
        if accuracy is not None:
            found[arm.subject, arm.condition] = accuracy
    return found


def _columns(plan: ExperimentPlan, conditions: Sequence[str]) -> list[Column]:
    columns = [Column("network", "network"), Column("parameters", "parameters", "count", "measured here")]
    for condition in conditions:
        how = measured(plan, [arm for arm in plan.arms if arm.condition == condition])
        name = f"test accuracy at {condition}" if plan.kind == "fig6" else "test accuracy"
        columns.append(measured_column(f"accuracy_{key_of(condition)}", name, "share", how))
    return columns


def _rows(result: ExperimentResult, accuracies: dict[tuple[str, str], Estimate]) -> list[dict[str, Cell]]:
    rows: dict[str, dict[str, Cell]] = {}
    for arm in result.plan.arms:
        row = rows.setdefault(arm.subject, {"network": arm.subject})
        row["parameters"] = row.get("parameters") or parameters_of(result, arm)
        row[f"accuracy_{key_of(arm.condition)}"] = accuracies.get((arm.subject, arm.condition))
    return list(rows.values())


def _statistics(kind: ExperimentKind, points: Sequence[Point]) -> list[Statistic]:
    """Over all pairs; where there are several pairs of conditions, also of each by itself."""
    kinds: tuple[CorrelationKind, ...] = ("Pearson", "Spearman", "Kendall")
    said = [_statistic(each, "", points, PUBLISHED[kind] if each == "Pearson" else None) for each in kinds]
    groups = list(dict.fromkeys(point.group for point in points))
    if len(groups) > 1:
        of_group = {group: [point for point in points if point.group == group] for group in groups}
        said += [_statistic(each, group, of_group[group], None) for group in groups for each in kinds[1:]]
    return said


def _statistic(kind: CorrelationKind, group: str, points: Sequence[Point], published: float | None) -> Statistic:
    subjects = tuple(point.subject for point in points)
    found = correlation(kind, tuple(point.x for point in points), tuple(point.y for point in points), subjects)
    networks = len(set(subjects))
    return Statistic(
        key="_".join([kind.lower(), *([key_of(group)] if group else [])]),
        label=f"{kind}, {group or 'all pairs'}",
        value=found.value,
        n=found.n,
        low=found.low,
        high=found.high,
        published=published,
        method=f"interval: percentile bootstrap of {networks} networks, {RESAMPLES:,} resamples",
    )
