"""What to know of a stage's ranking, in sentences: that it means nothing, and why, or that the time was over."""

from __future__ import annotations

import math

from medarts_ops.config import SearchConfig
from medarts_ops.config_choice import of_supernets
from medarts_ops.individual import SHORT_TRAININGS, StageResult, TrainedIndividual, Yardstick
from medarts_ops.objectives.shown import objective
from medarts_ops.quantities import counted, percent


def ranking_warnings(stage: StageResult) -> tuple[str, ...]:
    """What a reader of a finished stage's ranking has to know, each in one sentence without a full stop."""
    found = (_at_chance(stage), _genotypes_at_chance(stage), _all_equal(stage))
    return (*(warning for warning in found if warning is not None), *_cut_short(stage))


ENOUGH_STEPS = 200
"""Steps of w from which on a stage on photos of one's own may rank individuals at all (ours, roughly)."""


def steps_warning(config: SearchConfig, index: int, steps: int) -> str | None:
    """What to raise before a stage is trained whose epochs have so few `steps` that its ranking can mean little.

    None where no objective is measured by supernets.
    """
    stage = config.stages[index]
    in_all = steps * stage.epochs
    if in_all >= ENOUGH_STEPS or not of_supernets(each.name for each in config.objectives):
        return None
    return (
        f"stage {stage.name} trains for {counted(in_all, 'step')} in all, {steps} an epoch; fewer than "
        f"{ENOUGH_STEPS} hardly rank individuals: raise stages.{index}.epochs or stages.{index}.images, or lower "
        f"stages.{index}.batch"
    )


def standard_error(yardstick: Yardstick) -> float:
    """That of the accuracy of guesses: √(p (1 - p) / n), of p the chance and n images."""
    return math.sqrt(yardstick.chance * (1 - yardstick.chance) / yardstick.images)


def _at_chance(stage: StageResult) -> str | None:
    """Whether no individual's acc_valid is above chance by more than the standard error, and what to raise.

    None, too, where supernets neither rank nor train any α.
    """
    yardstick = stage.yardstick
    if yardstick is None or not stage.ranked:
        return None
    is_order = any(of_supernets(ranked.evaluated.objectives) for ranked in stage.ranked)
    is_alpha = any(record.alpha_loss is not None for ranked in stage.ranked for record in ranked.trained.history)
    if not is_order and not is_alpha:
        return None
    best = max(_of_its_supernet(ranked.trained, is_order) for ranked in stage.ranked)
    if best > yardstick.chance + standard_error(yardstick):
        return None
    epochs = max(len(ranked.trained.history) for ranked in stage.ranked)
    meaning = "neither their order nor their α means anything" if is_order else "their α means nothing"
    whose = "" if is_order else " of a supernet"  # beside that of the genotypes' own networks
    trained = f"an epoch had {counted(yardstick.steps, 'step')}, the stage {yardstick.steps * epochs}"
    return (
        f"no individual of stage {stage.name} beats chance: the highest accuracy{whose} is {percent(best)}, "
        f"{_guesses(yardstick)}, so {meaning}; {trained}: raise stages.{stage.index}.epochs or "
        f"stages.{stage.index}.images, or lower stages.{stage.index}.batch"
    )


def _of_its_supernet(trained: TrainedIndividual, is_ranked_by_it: bool) -> float:
    """The accuracy that it is ranked by, or else that of its last epoch: what was taken may be of an early one."""
    return trained.valid_accuracy if is_ranked_by_it else trained.history[-1].valid_accuracy


def _genotypes_at_chance(stage: StageResult) -> str | None:
    """The same of the short trainings, by which genotypes are ranked."""
    yardstick = stage.genotypes_yardstick
    found = [ranked.evaluated.objectives.get("derived_accuracy") for ranked in stage.ranked]
    best = max((accuracy for accuracy in found if accuracy is not None), default=None)
    if yardstick is None or best is None or best > yardstick.chance + standard_error(yardstick):
        return None
    return (
        f"no genotype of stage {stage.name} beats chance in its short training: the highest derived_accuracy is "
        f"{percent(best)}, {_guesses(yardstick)}, so it ranks nobody; an epoch had {counted(yardstick.steps, 'step')}: "
        "raise derived.epochs, derived.least_steps or derived.images, or lower derived.batch"
    )


def _guesses(yardstick: Yardstick) -> str:
    return (
        f"and naming one class would get {percent(yardstick.chance)} ± {percent(standard_error(yardstick))} (standard "
        f"error of {yardstick.images:,} images)"
    )


def _cut_short(stage: StageResult) -> tuple[str, ...]:
    """What ended early since the time was over, after which the ranking still means what it says."""
    over = "their time was over, and another run of the same settings may come to another number of epochs"
    apart = "; none of the stage is chosen where another stage's were trained longer"
    return tuple(
        f"{cut.what} of stage {stage.name} {cut.in_words}: {over}{apart if cut.what == SHORT_TRAININGS else ''}"
        for cut in stage.cuts
    )


def _all_equal(stage: StageResult) -> str | None:
    """Which objectives tell none of two individuals or more apart."""
    if len(stage.ranked) < 2:
        return None
    first, *others = (ranked.evaluated.objectives for ranked in stage.ranked)
    equal = [name for name, value in first.items() if all(other.get(name) == value for other in others)]
    if not equal:
        return None
    values = " and ".join(f"{name} ({objective(name, first[name])})" for name in equal)
    rest = [name for name in first if name not in equal]
    means = f"they are ranked by {' and '.join(rest)} alone" if rest else "their order means nothing"
    return f"all {len(stage.ranked)} individuals of stage {stage.name} have equal {values}: {means}"
