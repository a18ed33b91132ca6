"""The summaries that MLflow shows on top of a finished search's run, and of a stage's."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from medarts_ops.individual import RankedIndividual, SearchResult, StageResult
from medarts_ops.objectives.ranking_warnings import ranking_warnings
from medarts_ops.objectives.shown import exact_objective
from medarts_ops.quantities import counted, duration, percent


def search_note(result: SearchResult, best_run_id: str, search_run_id: str) -> str:
    """Markdown: what was found, and a line for each stage."""
    best = result.best
    lines = [
        f"**{best.id}** (run `{best_run_id}`, genotype `{best.trained.genotype.identity}`): {_objectives(best)}.",
        "",
        f"Chosen by {result.why}.",
        "",
        f"Search cost {duration(result.seconds)}.",
        "",
        "| stage | individuals | pruned | failed | front 0 | best | accuracy | time |",
        "|---|---|---|---|---|---|---|---|",
        *(_stage_line(stage) for stage in result.stages),
        "",
        *(f"**Warning:** {warning}.\n" for stage in result.stages for warning in ranking_warnings(stage)),
        f"Skips of the normal cell: {best.trained.genotype.skip_count('normal')}. Ancestors: `lineage.json`.",
        "",
        "The whole story, with pictures: the artifact `report.html`, or `medarts report`.",
        f"To train what was found at full size: `medarts evaluate {search_run_id}`.",
    ]
    return "\n".join(lines)


def stage_note(stage: StageResult, best_run_id: str | None, chosen: Collection[str]) -> str:
    """Markdown: what came of its individuals, and who goes on; `best_run_id` is None where all failed."""
    ended = {"pruned": stage.pruned, "failed": stage.failed}
    came = "".join(f", {len(each)} of them {how}" for how, each in ended.items() if each)
    lines = [f"{counted(len(stage.individuals), 'individual')}{came}; {duration(stage.seconds)}."]
    if best_run_id is not None:
        lines[0] = f"**{stage.best.id}** (run `{best_run_id}`) is the best: {_objectives(stage.best)}. {lines[0]}"
        lines += ["", f"On front 0: {_ids(one.id for one in stage.ranked if one.front == 0)}."]
        if chosen:
            lines += ["", f"Chosen: {_ids(one.id for one in stage.ranked if one.id in chosen)}."]
    lines += ["", *(f"**Warning:** {warning}.\n" for warning in ranking_warnings(stage))]
    lines.append("The ranking: `population.json`; the front to hover over: `pictures/front.html`.")
    return "\n".join(lines)


def _ids(names: Iterable[str]) -> str:
    return ", ".join(names) or "nobody"


def _stage_line(stage: StageResult) -> str:
    named = f"{stage.best.id} | {percent(stage.best.trained.valid_accuracy)}" if stage.ranked else "none | "
    front = sum(ranked.front == 0 for ranked in stage.ranked)
    counts = " | ".join(str(len(each)) for each in (stage.individuals, stage.pruned, stage.failed))
    return f"| {stage.name} | {counts} | {front} | {named} | {duration(stage.seconds)} |"


def _objectives(ranked: RankedIndividual) -> str:
    return ", ".join(f"{name} {exact_objective(name, value)}" for name, value in ranked.evaluated.objectives.items())
