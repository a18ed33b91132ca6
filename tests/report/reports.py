"""Made-up reports: of a finished search with an evaluation, and of one that is on its way."""

from __future__ import annotations

from dataclasses import replace

from factories import make_dataset_summary, make_evaluate_config_tiny, make_evaluation_epoch
from pictures.searches import make_search

from medarts_ops.config import SearchConfig
from medarts_ops.individual import EvaluationResult
from medarts_ops.observers import EvaluationStarted
from medarts_ops.report.values import ReportedEvaluation, SearchReport
from medarts_ops.space.genotype import Genotype
from medarts_ops.strategies.darts import DartsSettings


def make_report() -> SearchReport:
    """A search of three stages; `init-08` failed."""
    result = make_search()
    ids = [ranked.id for stage in result.stages for ranked in stage.ranked]
    return SearchReport(
        search_id=result.search_id,
        state="finished",
        config=SearchConfig(seed=7, strategy=DartsSettings()),
        dataset=make_dataset_summary(),
        stages=result.stages,
        images={0: 10_000, 1: 10_000, 2: 20_000},
        run_id="0" * 32,
        found=result,
        run_ids={name: f"{number:032x}" for number, name in enumerate(ids, start=1)},
        evaluations=(make_evaluation("evaluated-1", 0.0275, result.best.trained.genotype),),
    )


def make_unfinished_report() -> SearchReport:
    """The first stage of it."""
    whole = make_report()
    return replace(whole, state="stopped", stages=whole.stages[:1], evaluations=(), found=None)


def make_evaluation(name: str, error: float, genotype: Genotype) -> ReportedEvaluation:
    """Two epochs on the digits, the first of which has the lower error; it trains `mid-03`'s."""
    started = EvaluationStarted(
        config=make_evaluate_config_tiny(),
        genotype=genotype,
        parameters=3_349_342,
        dataset=make_dataset_summary(),
    )
    history = tuple(make_evaluation_epoch(epoch, value) for epoch, value in enumerate((error - 0.01, error)))
    result = EvaluationResult(genotype=started.genotype, parameters=started.parameters, history=history, seconds=120.0)
    return ReportedEvaluation(name, f"run-of-{name}", "mid-03", started, result)
