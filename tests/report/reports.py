"""Made-up reports: of a finished search with an evaluation, of one that is on its way, and of one with much to tell."""

from __future__ import annotations

from dataclasses import replace

from class_reports import make_validated_result
from factories import make_dataset_summary, make_evaluate_config_tiny, make_evaluation_epoch
from pictures.searches import make_large_search, make_search

from medarts_ops.config import SearchConfig
from medarts_ops.evolution.stop_rule import Stop
from medarts_ops.individual import EvaluationResult, RankedIndividual
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


def make_wide_report() -> SearchReport:
    """Fourteen individuals with five objectives and seven hyperparameters that differ, and names without an end."""
    result = make_large_search()
    stages = tuple(
        stage.model_copy(update={"ranked": tuple(map(_with_much_to_tell, stage.ranked)), "failed": ()})
        for stage in result.stages
    )
    ids = [ranked.id for stage in stages for ranked in stage.ranked]
    found = result.model_copy(update={"stages": stages})
    genotype = found.best.trained.genotype
    names = (
        "evaluated-of-a-search-with-a-long-name-20260101-120000-ab12",
        "a_name_with_no_place_for_a_line_to_end_" * 2,
    )
    evaluations = [make_evaluation(name, 0.0275, genotype) for name in names]
    told = [
        replace(one, result=make_validated_result(genotype), run_id=f"{n:032x}") for n, one in enumerate(evaluations)
    ]
    return replace(
        make_report(),
        search_id=names[1],
        stages=stages,
        found=found,
        run_ids={name: f"{number:032x}" for number, name in enumerate(ids, start=0xABCDEF << 104)},
        stops={name: Stop(4, "ranking") for name in ids},
        evaluations=tuple(told),
    )


def _with_much_to_tell(ranked: RankedIndividual) -> RankedIndividual:
    """One whose objectives and hyperparameters are many, the latter unlike anybody's."""
    evaluated, trained = ranked.evaluated, ranked.evaluated.trained
    individual = trained.individual
    own = 1 + (individual.number + 1) / 7
    given = individual.hyperparameters
    drawn = given.with_values({name: value * own for name, value in given.values.items() if value is not None})
    strategy = {name: own * 1e-4 for name in ("kl_of_the_prior", "temperature")}
    individual = individual.model_copy(update={"hyperparameters": drawn.model_copy(update={"strategy": strategy})})
    trained = trained.model_copy(update={"individual": individual, "discretized_accuracy": 0.2375})
    objectives = evaluated.objectives | {"macs": 5.27e8, "latency": 0.01234, "derived_accuracy": 0.4321}
    evaluated = evaluated.model_copy(update={"trained": trained, "objectives": objectives})
    return ranked.model_copy(update={"evaluated": evaluated})


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
