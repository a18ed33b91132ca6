"""Made-up outcomes of experiments: what each training came to is said, nothing is trained."""

from __future__ import annotations

from collections.abc import Callable

from factories import make_dataset_summary, make_evaluate_config_tiny, make_genotype

from medarts_ops.experiment import (
    PARAMETERS,
    TEST_ERROR,
    ExperimentPlan,
    ExperimentResult,
    FailedTraining,
    FinishedTraining,
    Training,
    TrainingOutcome,
)
from medarts_ops.experiments.network import Network, Setting

CameTo = float | str | dict[str, float] | None
"""A test error, the reason of a failure, all measures, or None for what was not done yet."""


def make_setting(name: str = "digits", **config: object) -> Setting:
    """The tiny evaluation on 1,438 images of ten classes."""
    dataset = make_dataset_summary().model_copy(update={"name": name})
    return Setting(make_evaluate_config_tiny().model_copy(update=config), dataset)


def make_networks(*names: str) -> list[Network]:
    return [Network(name, make_genotype(), description=f"{name} in words") for name in names]


def make_result(
    plan: ExperimentPlan, came_to: Callable[[Training], CameTo], taken: tuple[str, ...] = ()
) -> ExperimentResult:
    """What an experiment came to; those of the keys `taken` were taken over from a run."""
    outcomes = [_outcome(training, came_to(training), taken) for training in plan.trainings]
    return ExperimentResult(name="mine", plan=plan, outcomes=tuple(one for one in outcomes if one is not None))


def _outcome(training: Training, came: CameTo, taken: tuple[str, ...]) -> TrainingOutcome | None:
    if came is None:
        return None
    if isinstance(came, str):
        return FailedTraining(key=training.key, reason=came, cause="diverged")
    return FinishedTraining(
        key=training.key,
        measures=came if isinstance(came, dict) else {TEST_ERROR: came, PARAMETERS: 12_345.0},
        seconds=60.0 + training.seed,
        genotype=make_genotype(),
        taken_from="0" * 32 if training.key in taken else None,
    )
