"""Small plans of experiments for tests: on digits, in seconds."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from factories import make_evaluate_config_tiny, make_genotype, make_search_config_tiny

from medarts_ops.config import ResolvedEvaluateConfig, ResolvedSearchConfig
from medarts_ops.data.registry import load_dataset
from medarts_ops.experiment import Arm, ExperimentPlan
from medarts_ops.observers import DatasetSummary

SEEDS = (0, 1)


@lru_cache(maxsize=1)
def digits() -> DatasetSummary:
    """The images of `make_evaluate_config_tiny`."""
    return load_dataset(make_evaluate_config_tiny().dataset).summary(None)


def make_arm(
    name: str = "one",
    operation: str = "skip_connect",
    *,
    evaluation: ResolvedEvaluateConfig | None = None,
    search: ResolvedSearchConfig | None = None,
) -> Arm:
    """An arm that trains a genotype of one operation, or what a search finds."""
    return Arm(
        name=name,
        subject=f"arm {name}",
        fingerprint=digits().fingerprint,
        search=search,
        evaluation=make_short_evaluation() if evaluation is None else evaluation,
        genotype=make_genotype(operation, nodes=2) if search is None else None,
    )


def make_short_evaluation(lr: float = 0.025) -> ResolvedEvaluateConfig:
    """Two epochs."""
    config = make_evaluate_config_tiny()
    return config.model_copy(update={"epochs": 2, "weights": config.weights.model_copy(update={"lr": lr})})


def make_short_search() -> ResolvedSearchConfig:
    """A search of one stage and two individuals."""
    config = make_search_config_tiny()
    stage = config.stages[0].model_copy(update={"population": 2})
    return config.model_copy(update={"stages": (stage,)})


def make_plan(arms: Sequence[Arm] = (), seeds: Sequence[int] = SEEDS, workers: int = 1) -> ExperimentPlan:
    """A sweep of these arms; by default two that train at once."""
    arms = tuple(arms) or (make_arm("one"), make_arm("two", "max_pool_3x3"))
    return ExperimentPlan(
        kind="sweep",
        scale="own",
        seeds=tuple(seeds),
        arms=arms,
        datasets={digits().fingerprint: digits()},
        workers=workers,
    )
