"""The summary of a finished search that MLflow shows on top of its run."""

from __future__ import annotations

from medarts_ops.individual import SearchResult, StageResult
from medarts_ops.objectives.ranking_warnings import ranking_warnings
from medarts_ops.objectives.shown import exact_objective
from medarts_ops.quantities import duration, percent


def search_note(result: SearchResult, best_run_id: str, search_run_id: str) -> str:
    """Markdown: what was found, and a line for each stage."""
    best = result.best
    values = best.evaluated.objectives.items()
    objectives = ", ".join(f"{name} {exact_objective(name, value)}" for name, value in values)
    lines = [
        f"**{best.id}** (run `{best_run_id}`, genotype `{best.trained.genotype.identity}`): {objectives}.",
        "",
        f"Chosen by {result.why}.",
        "",
        f"Search cost {duration(result.seconds)}.",
        "",
        "| stage | individuals | failed | front 0 | best | accuracy | time |",
        "|---|---|---|---|---|---|---|",
        *(_stage_line(stage) for stage in result.stages),
        "",
        *(f"**Warning:** {warning}.\n" for stage in result.stages for warning in ranking_warnings(stage)),
        f"Skips of the normal cell: {best.trained.genotype.skip_count('normal')}. Ancestors: `lineage.json`.",
        "",
        "The whole story, with pictures: the artifact `report.html`, or `medarts report`.",
        f"To train what was found at full size: `medarts evaluate {search_run_id}`.",
    ]
    return "\n".join(lines)


def _stage_line(stage: StageResult) -> str:
    named = f"{stage.best.id} | {percent(stage.best.trained.valid_accuracy)}" if stage.ranked else "none | "
    total, front = len(stage.ranked) + len(stage.failed), sum(ranked.front == 0 for ranked in stage.ranked)
    return f"| {stage.name} | {total} | {len(stage.failed)} | {front} | {named} | {duration(stage.seconds)} |"
