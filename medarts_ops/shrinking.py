"""A plan made smaller by one common factor, and the largest factor that fits it to a time; pure functions."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Any, NamedTuple, TypeVar

from medarts_ops.config import ChildrenConfig, DerivedConfig, EvaluateConfig, SearchConfig, StageConfig

Searched = TypeVar("Searched", bound=SearchConfig)
Evaluated = TypeVar("Evaluated", bound=EvaluateConfig)

LEAST_OF_CLASS = 5
"""Images of each class that a D_sample keeps (ours): both halves have some, and so has what is held back of them."""

LEAST_MEASURED = 100
"""Images that accuracies are measured on (ours): a standard error of 5 points, with which hardly anything is ranked."""

_HALVINGS = 40


class DrawnImages(NamedTuple):
    """How many images each stage draws (D_sample), and genotypes' short trainings; of so many classes."""

    stages: tuple[int, ...]
    derived: int = 0
    n_classes: int = 1


def largest_scale(seconds: float, seconds_at: Callable[[float], float]) -> float | None:
    """The largest factor in 0…1 whose plan takes at most `seconds`: 1 for one that fits, None if none does.

    `seconds_at` is what the plan takes at a factor, none less at a larger one; at 0 it is the least that there is.
    """
    if seconds_at(1.0) <= seconds:
        return 1.0
    if seconds_at(0.0) > seconds:
        return None
    fits, does_not = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (fits + does_not) / 2
        fits, does_not = (middle, does_not) if seconds_at(middle) <= seconds else (fits, middle)
    return fits


def smaller_search(config: Searched, images: DrawnImages, scale: float) -> tuple[Searched, DrawnImages]:
    """The search with epochs, individuals and images times `scale` in 0…1, to the nearest; 1 leaves it as it is.

    All else stays: stages, cells, channels, batches. Each number stops at its least, or at what it was if that is
    less: an epoch, as many as leave one to train α and as `least_steps` take; a survivor, two where children are of
    two parents, two random individuals and a child of each operator that has any; a batch of each half, or as many as
    `least_steps` take in all the epochs, `LEAST_OF_CLASS` of each class, and `LEAST_MEASURED` to measure accuracies
    on. The same for genotypes' short trainings.
    """
    if scale == 1:
        return config, images
    stages: list[StageConfig] = []
    sizes: list[int] = []
    for stage, drawn in zip(config.stages, images.stages, strict=True):
        least = _least_images(stage, config.weight_share, config.measured_share, images.n_classes)
        sizes.append(_scaled(drawn, scale, least))
        changes = {
            "images": _of_same_kind(stage.images, sizes[-1], drawn),
            "epochs": _scaled(stage.epochs, scale, _least_epochs(config, stage, sizes[-1])),
            **_fewer_individuals(stage, scale, stages[-1].size if stages else 0),
        }
        stages.append(stage.model_copy(update=changes))
    derived, n_derived = config.derived, images.derived
    if config.trains_genotypes:
        least = _least_images(derived, 1 - derived.held_out, derived.held_out, images.n_classes)
        n_derived = _scaled(images.derived, scale, least)
        sample = _of_same_kind(derived.images, n_derived, images.derived)
        trained_on, _ = derived.parts(n_derived)
        epochs = _scaled(derived.epochs, scale, max(1, ceil(derived.least_steps / ceil(trained_on / derived.batch))))
        derived = derived.model_copy(update={"epochs": epochs, "images": sample})
    drawn_now = images._replace(stages=tuple(sizes), derived=n_derived)
    return config.model_copy(update={"stages": tuple(stages), "derived": derived}), drawn_now


def without_least_steps(config: Searched) -> Searched:
    """The search with the epochs that it has, whose number of steps is free to fall."""
    stages = tuple(stage.model_copy(update={"least_steps": 0}) for stage in config.stages)
    return config.model_copy(update={"stages": stages, "derived": config.derived.model_copy(update={"least_steps": 0})})


def smaller_evaluation(config: Evaluated, scale: float) -> Evaluated:
    """The evaluation with epochs times `scale` in 0…1, one at the least, and those of the rate's rise among them."""
    epochs = _scaled(config.epochs, scale, 1)
    rise = min(epochs, _scaled(config.warmup_epochs, scale, 1))
    return config.model_copy(update={"epochs": epochs, "warmup_epochs": rise})


def _scaled(number: int, scale: float, least: int) -> int:
    return min(number, max(least, int(number * scale + 0.5)))


def _least_images(of: StageConfig | DerivedConfig, trained_share: float, measured_share: float, n_classes: int) -> int:
    """A D_sample for a training of which these shares are trained on and measured by."""
    batches = max(1, ceil(of.least_steps / of.epochs))  # of an epoch, so that all epochs take the least steps
    trained_on = ceil(batches * of.batch / trained_share)
    return max(trained_on, LEAST_OF_CLASS * n_classes, ceil(LEAST_MEASURED / measured_share))


def _of_same_kind(asked: int | float, images: int, drawn: int) -> int | float:
    """So many of the images that were drawn, as a number or as a share, which is of the largest sample there is."""
    return images if isinstance(asked, int) else asked * images / drawn


def _least_epochs(config: SearchConfig, stage: StageConfig, images: int) -> int:
    steps = ceil(images * config.weight_share / stage.batch)
    with_alpha = stage.least_epochs(config.alpha.warmup, config.alpha.warmup_epochs)
    return max(1, with_alpha, ceil(stage.least_steps / steps))


def _fewer_individuals(stage: StageConfig, scale: float, available: int) -> dict[str, Any]:
    """Of a later stage as many survivors as the one before has `available`."""
    if stage.population is not None:
        return {"population": _scaled(stage.population, scale, 2)}
    planned = stage.planned_children
    parents = 2 if planned.swap or planned.nodewise or planned.consensus else 1
    survivors = min(available, _scaled(stage.survivors or 1, scale, parents))
    fewer = {name: _scaled(number, scale, 1) for name, number in planned}
    children = ChildrenConfig.model_validate(fewer).possible_with(survivors)
    of_kinds = isinstance(stage.children, ChildrenConfig)
    return {"survivors": survivors, "children": children if of_kinds else children.swap}
