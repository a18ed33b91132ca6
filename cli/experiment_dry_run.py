"""What an experiment would train and cost, from a few timed steps; nothing is stored."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from medarts_ops.bench.estimate import TIMED_STEPS
from medarts_ops.bench.experiment_estimate import ExperimentEstimate, estimate_experiment
from medarts_ops.cli.options import Places
from medarts_ops.cli.output import print_facts, print_json, print_line, print_table, progress_console, results_console
from medarts_ops.cli.output import table as made_table
from medarts_ops.errors import StoreError
from medarts_ops.experiment import FinishedTraining
from medarts_ops.quantities import SECONDS_PER_HOUR, byte_size, counted, duration, millions

if TYPE_CHECKING:
    from medarts_ops.bench.within_budget import FittedExperiment
    from medarts_ops.experiment import ExperimentPlan


def known_trainings(plan: ExperimentPlan, places: Places) -> tuple[str, ...]:
    """The keys of trainings that the store holds, and that would be taken over; none where there is no store."""
    from medarts_ops.tracking.reading.equal_trainings import EqualTrainings
    from medarts_ops.tracking.stores.opening import open_store

    try:
        store = open_store(places.tracking_uri, create=False, experiment=places.experiment)
    except StoreError:
        return ()
    equal = EqualTrainings(store, plan)
    found: dict[str, FinishedTraining] = {}
    for training in plan.trainings:
        searched = None if training.found_by is None else found.get(training.found_by.key)
        genotype = training.arm.genotype if searched is None else searched.genotype
        if training.kind == "evaluation" and genotype is None:
            continue  # what its search will find is not known
        known = equal.find(training, genotype)
        if known is not None:
            found[training.key] = known
    return tuple(found)


def print_dry_run(
    plan: ExperimentPlan, as_json: bool, known: Collection[str] = (), fitted: FittedExperiment | None = None
) -> None:
    """Print what a plan would train and cost; `known` trainings would be taken over from before.

    A plan that was `fitted` to a time was timed for that.
    """
    console = progress_console()
    for remark in plan.remarks:
        print_line(console, remark)
    if fitted is None:
        estimate = estimate_experiment(
            plan, TIMED_STEPS, known=known, on_timing=lambda what: print_line(console, f"timing {what}")
        )
    else:
        estimate = fitted.timed.estimate(known, fitted.scale)
    if as_json:
        print_json({"estimate": estimate.model_dump(), "plan": plan.model_dump(mode="json")})
    else:
        _print_estimate(plan, estimate)


def _print_estimate(plan: ExperimentPlan, estimate: ExperimentEstimate) -> None:
    console = results_console()
    seeds = counted(len(plan.seeds), "seed")
    has_searches, has_evaluations = estimate.searches > 0, estimate.evaluations > 0
    columns = [*(["a search"] if has_searches else []), *(["an evaluation", "parameters"] if has_evaluations else [])]
    arms = made_table("arm", *columns, numbers=columns)
    for arm in estimate.arms:
        cells = [duration(SECONDS_PER_HOUR * arm.search_hours)] if has_searches else []
        cells += (
            [duration(SECONDS_PER_HOUR * arm.evaluation_hours), millions(arm.parameters)] if has_evaluations else []
        )
        arms.add_row(arm.arm, *cells)
    print_table(console, arms)
    console.print()
    counts = [("searches", estimate.searches), ("evaluations", estimate.evaluations)]
    facts = [(label, f"{count} ({seeds})") for label, count in counts if count]
    if estimate.taken_over:
        facts.append(("known", f"{estimate.taken_over} were trained before in this store and are taken over"))
    at_a_time = f", {plan.workers} evaluations at a time" if plan.workers > 1 and has_evaluations else ""
    facts.append(("time", f"about {duration(SECONDS_PER_HOUR * estimate.hours)}{at_a_time}"))
    facts.append(("training", f"{duration(SECONDS_PER_HOUR * estimate.training_hours)} of one device"))
    facts.append(("on disk", f"{byte_size(estimate.disk_bytes)} of weights and images; nothing was stored"))
    print_facts(console, facts)
