"""When a ranking means nothing, against standard errors worked out by hand."""

from __future__ import annotations

import pytest
from factories import make_ranked, make_stage_result

from medarts_ops.config import ObjectiveConfig, SearchConfig, StageConfig
from medarts_ops.individual import StageResult, Yardstick
from medarts_ops.objectives.ranking_warnings import ranking_warnings, standard_error, steps_warning

HUNDRED = Yardstick(images=100, chance=0.5, steps=8)  # √(0.5 · 0.5 / 100) = 0.05


def stage(*individuals: tuple[float, float], yardstick: Yardstick | None = HUNDRED) -> StageResult:
    ranked = [make_ranked(number, accuracy, params) for number, (accuracy, params) in enumerate(individuals)]
    return make_stage_result(ranked).model_copy(update={"yardstick": yardstick})


@pytest.mark.parametrize(
    ("images", "chance", "error"), [(100, 0.5, 0.05), (1800, 1 / 3, 1 / 90), (400, 0.2, 0.02), (10, 1.0, 0.0)]
)
def test_the_standard_error_is_that_of_a_share(images: int, chance: float, error: float) -> None:
    assert standard_error(Yardstick(images=images, chance=chance, steps=1)) == pytest.approx(error)


@pytest.mark.parametrize("best", [0.31, 0.5, 0.54])
def test_a_stage_whose_best_is_within_a_standard_error_of_chance_is_warned_of(best: float) -> None:
    (warning,) = ranking_warnings(stage((best, 2e6), (0.3, 3e6)))
    assert f"no individual of stage init beats chance: the highest accuracy is {100 * best:.2f} %" in warning
    assert "50.00 % ± 5.00 % (standard error of 100 images)" in warning
    # Individuals of the factory have two epochs.
    assert "; an epoch had 8 steps, the stage 16: raise stages.0.epochs or stages.0.images, or lower " in warning


def test_who_beats_chance_by_more_than_its_standard_error_is_not() -> None:
    assert ranking_warnings(stage((0.56, 2e6), (0.3, 3e6))) == ()
    assert ranking_warnings(stage((0.5, 2e6), (0.3, 3e6), yardstick=None)) == ()  # an earlier release's
    assert ranking_warnings(make_stage_result([])) == ()


def test_objectives_that_are_equal_for_all_are_said() -> None:
    (warning,) = ranking_warnings(stage((0.9, 2e6), (0.9, 2e6)))
    assert warning == (
        "all 2 individuals of stage init have equal accuracy (90.00 %) and params (2.00 M): their order means nothing"
    )
    (warning,) = ranking_warnings(stage((0.9, 2e6), (0.9, 3e6)))
    assert warning.endswith("have equal accuracy (90.00 %): they are ranked by params alone")
    assert ranking_warnings(stage((0.9, 2e6))) == ()  # one alone is not ranked


def of_genotypes(alpha_loss: float | None) -> StageResult:
    """A stage at chance that is ranked by short trainings; its supernets step α where they have a loss of it."""
    at_chance = stage((0.4, 2e6), (0.3, 3e6))
    (first, *others) = at_chance.ranked
    objectives = {"derived_accuracy": 0.6, "params": 2e6}
    history = tuple(each.model_copy(update={"alpha_loss": alpha_loss}) for each in first.trained.history)
    trained = first.trained.model_copy(update={"history": history})
    evaluated = first.evaluated.model_copy(update={"objectives": objectives, "trained": trained})
    return at_chance.model_copy(update={"ranked": (first.model_copy(update={"evaluated": evaluated}),)})


def test_supernets_at_chance_that_rank_nobody_say_nothing_of_the_order() -> None:
    (warning,) = ranking_warnings(of_genotypes(1.9))
    assert "(standard error of 100 images), so their α means nothing; an epoch had 8 steps" in warning
    assert ranking_warnings(of_genotypes(None)) == ()


def test_supernets_that_rank_nobody_are_held_to_their_last_epoch() -> None:
    at_chance = of_genotypes(1.9)
    (ranked,) = at_chance.ranked
    *early, last = ranked.trained.history
    history = (*early, last.model_copy(update={"valid_accuracy": 0.9}))  # what was taken is of an epoch before
    trained = ranked.trained.model_copy(update={"history": history})
    evaluated = ranked.evaluated.model_copy(update={"trained": trained})
    learnt = at_chance.model_copy(update={"ranked": (ranked.model_copy(update={"evaluated": evaluated}),)})
    assert ranking_warnings(learnt) == ()


def test_short_trainings_at_chance_rank_nobody() -> None:
    measured = of_genotypes(None).model_copy(update={"genotypes_yardstick": HUNDRED.model_copy(update={"chance": 0.6})})
    (warning,) = ranking_warnings(measured)
    assert warning == (
        "no genotype of stage init beats chance in its short training: the highest derived_accuracy is 60.00 %, and "
        "naming one class would get 60.00 % ± 4.90 % (standard error of 100 images), so it ranks nobody; an epoch had "
        "8 steps: raise derived.epochs, derived.least_steps or derived.images, or lower derived.batch"
    )
    assert ranking_warnings(measured.model_copy(update={"genotypes_yardstick": HUNDRED})) == ()
    by_supernets = stage((0.6, 2e6), (0.3, 3e6)).model_copy(update={"genotypes_yardstick": HUNDRED})
    assert ranking_warnings(by_supernets) == ()


def test_a_stage_of_fewer_than_two_hundred_steps_is_warned_of_before_it_is_trained() -> None:
    stages = (StageConfig(population=1), StageConfig(name="mid", epochs=5, survivors=1))
    short = SearchConfig(stages=stages)
    warning = steps_warning(short, 1, 39)
    assert warning is not None and warning.startswith("stage mid trains for 195 steps in all, 39 an epoch; ")
    assert "raise stages.1.epochs or stages.1.images, or lower stages.1.batch" in warning
    assert steps_warning(short, 1, 40) is None
    by_genotypes = (ObjectiveConfig(name="derived_accuracy"), ObjectiveConfig(name="params"))
    assert steps_warning(SearchConfig(stages=stages, objectives=by_genotypes), 1, 1) is None
