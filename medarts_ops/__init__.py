"""ME-DARTS: multi-stage evolution of differentiable architecture search, tracked with MLflow and Optuna.

The public names are loaded when first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from medarts_ops.config import EvaluateConfig, SearchConfig
    from medarts_ops.data.registry import DATASETS
    from medarts_ops.evaluation import run_evaluation
    from medarts_ops.executors.registry import EXECUTORS
    from medarts_ops.objectives.registry import OBJECTIVES
    from medarts_ops.search import run_search
    from medarts_ops.space.genotype import Genotype
    from medarts_ops.strategies.registry import STRATEGIES
    from medarts_ops.tracking.evaluation import tracked_evaluation
    from medarts_ops.tracking.resume import resumed_evaluation, resumed_search
    from medarts_ops.tracking.search import tracked_search

__all__ = [
    "DATASETS",
    "EXECUTORS",
    "OBJECTIVES",
    "STRATEGIES",
    "EvaluateConfig",
    "Genotype",
    "SearchConfig",
    "resumed_evaluation",
    "resumed_search",
    "run_evaluation",
    "run_search",
    "tracked_evaluation",
    "tracked_search",
]

_HOMES = {
    "DATASETS": "medarts_ops.data.registry",
    "EXECUTORS": "medarts_ops.executors.registry",
    "OBJECTIVES": "medarts_ops.objectives.registry",
    "STRATEGIES": "medarts_ops.strategies.registry",
    "EvaluateConfig": "medarts_ops.config",
    "SearchConfig": "medarts_ops.config",
    "Genotype": "medarts_ops.space.genotype",
    "run_evaluation": "medarts_ops.evaluation",
    "run_search": "medarts_ops.search",
    "resumed_evaluation": "medarts_ops.tracking.resume",
    "resumed_search": "medarts_ops.tracking.resume",
    "tracked_evaluation": "medarts_ops.tracking.evaluation",
    "tracked_search": "medarts_ops.tracking.search",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return _version()
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'medarts_ops' has no attribute {name!r}; it has {', '.join(sorted(_HOMES))}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


def _version() -> str:
    try:
        return version("medarts-ops")
    except PackageNotFoundError:  # a checkout that was never installed
        return "0+unknown"
