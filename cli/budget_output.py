"""What a plan came to that was fitted to a time: beside what it would have been, on stderr, or as plain data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from medarts_ops.cli.loading import say
from medarts_ops.cli.output import print_table, progress_console, table
from medarts_ops.config import ResolvedSearchConfig
from medarts_ops.quantities import counted, duration
from medarts_ops.shrinking import DrawnImages

if TYPE_CHECKING:
    from medarts_ops.bench.within_budget import FittedEvaluation, FittedExperiment, FittedSearch


def say_fitted_search(fitted: FittedSearch) -> None:
    """The time of both plans, and where they differ a line for each stage."""
    _say_times(fitted.config.runtime.budget.seconds, fitted.asked_seconds, fitted.seconds)
    if fitted.config.stages == fitted.asked.stages:
        return
    numbers = ("epochs", "individuals", "images")
    made = table("stage", *numbers, numbers=numbers)
    asked, chosen = _rows(fitted.asked, fitted.asked_images), _rows(fitted.config, fitted.images)
    for (name, *before), (_, *after) in zip(asked, chosen, strict=True):
        made.add_row(name, *(_change(was, now) for was, now in zip(before, after, strict=True)))
    print_table(progress_console(), made)


def say_fitted_evaluation(fitted: FittedEvaluation) -> None:
    """The time of both plans, and the epochs where they differ."""
    _say_times(fitted.config.runtime.budget.seconds, fitted.asked_seconds, fitted.seconds)
    if fitted.config.epochs < fitted.asked.epochs:
        say(f"{counted(fitted.config.epochs, 'epoch')} instead of {fitted.asked.epochs}")


def say_fitted_experiment(fitted: FittedExperiment, seconds: float) -> None:
    """The time of both plans, and the factor by which all trainings are smaller."""
    _say_times(seconds, fitted.asked_seconds, fitted.seconds)
    if fitted.scale < 1:
        say(f"epochs of all trainings, individuals and images of searches: {fitted.scale:.3g} times as many")


def search_budget_json(fitted: FittedSearch) -> dict[str, Any]:
    """What was asked for and what was chosen as plain data; times in seconds."""
    return {
        "seconds": fitted.config.runtime.budget.seconds,
        "scale": fitted.config.runtime.budget.scale,
        "asked": {"seconds": fitted.asked_seconds, "stages": _stages_json(fitted.asked, fitted.asked_images)},
        "chosen": {"seconds": fitted.seconds, "stages": _stages_json(fitted.config, fitted.images)},
    }


def evaluation_budget_json(fitted: FittedEvaluation) -> dict[str, Any]:
    """The same of an evaluation."""
    return {
        "seconds": fitted.config.runtime.budget.seconds,
        "scale": fitted.config.runtime.budget.scale,
        "asked": {"seconds": fitted.asked_seconds, "epochs": fitted.asked.epochs},
        "chosen": {"seconds": fitted.seconds, "epochs": fitted.config.epochs},
    }


def _say_times(budget: float | None, asked: float, chosen: float) -> None:
    fits = "it stays as it is" if asked == chosen else f"made smaller it trains for about {duration(chosen)}"
    say(f"budget {duration(budget or 0)}: the plan trains for about {duration(asked)}; {fits}")


def _rows(config: ResolvedSearchConfig, images: DrawnImages) -> list[tuple[str, int, int, int]]:
    """Name, epochs, individuals and images of each stage, and of the short trainings of genotypes, if there are any."""
    rows = [(stage.name, stage.epochs, stage.size, n) for stage, n in zip(config.stages, images.stages, strict=True)]
    if config.trains_genotypes:
        genotypes = sum(map(config.most_candidates_of, range(len(config.stages))))
        rows.append(("genotypes alone", config.derived.epochs, genotypes, images.derived))
    return rows


def _stages_json(config: ResolvedSearchConfig, images: DrawnImages) -> list[dict[str, Any]]:
    names = ("name", "epochs", "individuals", "images")
    return [dict(zip(names, row, strict=True)) for row in _rows(config, images)]


def _change(was: int, now: int) -> str:
    return f"{was:,}" if was == now else f"{was:,} → {now:,}"
