"""ME-DARTS: multi-stage evolution of differentiable architecture search, tracked with MLflow and Optuna.

The public names are loaded when first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from medarts_ops.config import EvaluateConfig as EvaluateConfig
    from medarts_ops.config import SearchConfig as SearchConfig
    from medarts_ops.data.registry import DATASETS as DATASETS
    from medarts_ops.evaluation import run_evaluation as run_evaluation
    from medarts_ops.executors.registry import EXECUTORS as EXECUTORS
    from medarts_ops.experiments.network import ArmSettings as ArmSettings
    from medarts_ops.experiments.network import AskedNetworks as AskedNetworks
    from medarts_ops.objectives.registry import OBJECTIVES as OBJECTIVES
    from medarts_ops.search import run_search as run_search
    from medarts_ops.space.genotype import Genotype as Genotype
    from medarts_ops.strategies.registry import STRATEGIES as STRATEGIES
    from medarts_ops.tracking.evaluation import tracked_evaluation as tracked_evaluation
    from medarts_ops.tracking.experiment import sweep as sweep
    from medarts_ops.tracking.experiment import tracked_experiment as tracked_experiment
    from medarts_ops.tracking.reproduction import reproduce as reproduce
    from medarts_ops.tracking.reproduction import reproduction as reproduction
    from medarts_ops.tracking.resume import resumed_evaluation as resumed_evaluation
    from medarts_ops.tracking.resume import resumed_experiment as resumed_experiment
    from medarts_ops.tracking.resume import resumed_search as resumed_search
    from medarts_ops.tracking.search import tracked_search as tracked_search

_HOMES = {
    "ArmSettings": "medarts_ops.experiments.network",
    "AskedNetworks": "medarts_ops.experiments.network",
    "DATASETS": "medarts_ops.data.registry",
    "EXECUTORS": "medarts_ops.executors.registry",
    "OBJECTIVES": "medarts_ops.objectives.registry",
    "STRATEGIES": "medarts_ops.strategies.registry",
    "EvaluateConfig": "medarts_ops.config",
    "SearchConfig": "medarts_ops.config",
    "Genotype": "medarts_ops.space.genotype",
    "run_evaluation": "medarts_ops.evaluation",
    "run_search": "medarts_ops.search",
    "reproduce": "medarts_ops.tracking.reproduction",
    "reproduction": "medarts_ops.tracking.reproduction",
    "resumed_evaluation": "medarts_ops.tracking.resume",
    "resumed_experiment": "medarts_ops.tracking.resume",
    "resumed_search": "medarts_ops.tracking.resume",
    "sweep": "medarts_ops.tracking.experiment",
    "tracked_evaluation": "medarts_ops.tracking.evaluation",
    "tracked_experiment": "medarts_ops.tracking.experiment",
    "tracked_search": "medarts_ops.tracking.search",
}


__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from medarts_ops.provenance import installed_version

        return installed_version("medarts-ops") or "0+unknown"  # of a checkout that was never installed
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'medarts_ops' has no attribute {name!r}; it has {', '.join(sorted(_HOMES))}")


def __dir__() -> list[str]:
    return [*_HOMES, "__version__"]
