"""What an experiment would train and cost, from a few timed steps; nothing is stored."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from medarts_ops.bench.experiment_estimate import ExperimentEstimate, estimate_experiment
from medarts_ops.cli.delete import size
from medarts_ops.cli.output import print_facts, print_json, print_line, print_table, progress_console, results_console
from medarts_ops.cli.output import table as made_table
from medarts_ops.quantities import counted, hours, millions

if TYPE_CHECKING:
    from medarts_ops.experiment import ExperimentPlan

TIMED_STEPS = 3
"""Of each size of network."""


def print_dry_run(plan: ExperimentPlan, as_json: bool, known: Collection[str] = ()) -> None:
    """Print what a plan would train and cost; `known` trainings would be taken over from before."""
    console = progress_console()
    for remark in dict.fromkeys(remark for dataset in plan.datasets.values() for remark in dataset.remarks):
        print_line(console, remark)
    estimate = estimate_experiment(
        plan, TIMED_STEPS, known=known, on_timing=lambda what: print_line(console, f"timing {what}")
    )
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
        cells = [hours(3600 * arm.search_hours)] if has_searches else []
        cells += [hours(3600 * arm.evaluation_hours), millions(arm.parameters)] if has_evaluations else []
        arms.add_row(arm.arm, *cells)
    print_table(console, arms)
    console.print()
    counts = [("searches", estimate.searches), ("evaluations", estimate.evaluations)]
    facts = [(label, f"{count} ({seeds})") for label, count in counts if count]
    if estimate.taken_over:
        facts.append(("known", f"{estimate.taken_over} were trained before in this store and are taken over"))
    at_a_time = f", {plan.workers} evaluations at a time" if plan.workers > 1 and has_evaluations else ""
    facts.append(("time", f"about {hours(3600 * estimate.hours)}{at_a_time}"))
    facts.append(("training", f"{hours(3600 * estimate.training_hours)} of one device"))
    facts.append(("on disk", f"{size(estimate.disk_bytes)} of weights and images; nothing was stored"))
    print_facts(console, facts)
