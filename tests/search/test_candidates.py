"""Which epochs of an individual are candidates, and which one goes on."""

from __future__ import annotations

from factories import make_alpha, make_epoch_record, make_genotype, make_individual, make_search_config_tiny

from medarts_ops.candidates import best_of_each, candidates_of
from medarts_ops.config import ObjectiveConfig, ResolvedSearchConfig
from medarts_ops.individual import EvaluatedIndividual, TrainedIndividual
from medarts_ops.resolving import resolve_config_alone


def config(most: int = 3, candidates: str = "epochs", sieve: str = "lasted") -> ResolvedSearchConfig:
    asked = {"candidates": candidates, "most_candidates": most, "sieve": sieve}
    return make_search_config_tiny().model_copy(update=asked)


def trained(*operations: str, number: int = 0) -> TrainedIndividual:
    """An individual whose genotype after each epoch has these operations; acc_valid is a tenth of the epoch."""
    history = tuple(
        make_epoch_record(epoch, epoch / 10).model_copy(
            update={"alpha": make_alpha(epoch), "genotype": make_genotype(operation)}
        )
        for epoch, operation in enumerate(operations)
    )
    return TrainedIndividual(
        individual=make_individual(number),
        alpha=make_alpha(len(operations) - 1),
        genotype=make_genotype(operations[-1]),
        valid_accuracy=history[-1].valid_accuracy,
        history=history,
        seconds=1.0,
        epoch=len(operations) - 1,
    )


HISTORY = (
    "max_pool_3x3",
    "sep_conv_3x3",
    "sep_conv_3x3",
    "avg_pool_3x3",
    "dil_conv_3x3",
    "skip_connect",
    "skip_connect",
)


def convolutions(candidate: TrainedIndividual) -> float:
    """Stands for parameters."""
    return float(candidate.genotype.normal[0][0].endswith(("conv_3x3", "conv_5x5")))


def operations(candidates: tuple[TrainedIndividual, ...]) -> list[tuple[str, int | None]]:
    return [(candidate.genotype.normal[0][0], candidate.epoch) for candidate in candidates]


def test_only_the_last_epoch_is_a_candidate_unless_epochs_are() -> None:
    one = trained(*HISTORY)
    assert candidates_of(one, config(candidates="last"), convolutions) == (one,)


def test_the_last_genotype_comes_first_and_then_those_that_lasted_longest_each_once() -> None:
    found = operations(candidates_of(trained(*HISTORY), config(most=3), convolutions))
    assert found == [("skip_connect", 6), ("sep_conv_3x3", 2), ("dil_conv_3x3", 4)]
    assert len(candidates_of(trained(*HISTORY), config(most=99), convolutions)) == 5


def test_the_sieve_of_parameters_leaves_the_largest_be_they_the_last_or_not_and_of_equals_the_later() -> None:
    found = operations(candidates_of(trained(*HISTORY), config(most=4, sieve="params"), convolutions))
    assert found == [("dil_conv_3x3", 4), ("sep_conv_3x3", 2), ("skip_connect", 6), ("avg_pool_3x3", 3)]
    (largest,) = candidates_of(trained(*HISTORY), config(most=1, sieve="params"), convolutions)
    assert largest.epoch == 4


def test_a_candidate_is_the_individual_as_it_was_after_that_epoch() -> None:
    one = trained(*HISTORY)
    candidate = candidates_of(one, config(), convolutions)[1]
    assert candidate.alpha == make_alpha(2) and candidate.valid_accuracy == 0.2
    assert candidate.history == one.history and candidate.individual == one.individual


def test_an_early_genotype_that_is_better_goes_on_in_place_of_the_last() -> None:
    settings = resolve_config_alone(
        config().model_copy(update={"objectives": (ObjectiveConfig(name="derived_loss"),)}), (8, 8)
    )
    tried = [
        EvaluatedIndividual(trained=candidate, objectives={"derived_loss": loss})
        for number, losses in enumerate(((1.0, 0.4, 0.7), (0.5, 0.9, 0.5)))
        for candidate, loss in zip(
            candidates_of(trained(*HISTORY, number=number), config(), convolutions), losses, strict=True
        )
    ]
    best = best_of_each(tried, settings)
    assert {name: one.trained.epoch for name, one in best.items()} == {"init-00": 2, "init-01": 6}
