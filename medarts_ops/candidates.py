"""What an individual may be measured as: its α after the last epoch, or after any, and which of these goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from medarts_ops.config import ResolvedSearchConfig
from medarts_ops.evolution.choice import weighted_sums, weights_of
from medarts_ops.evolution.ranking import oriented_values
from medarts_ops.individual import EpochRecord, EvaluatedIndividual, TrainedIndividual
from medarts_ops.space.genotype import Genotype


def candidates_of(
    trained: TrainedIndividual, config: ResolvedSearchConfig, params_of: Callable[[TrainedIndividual], float]
) -> tuple[TrainedIndividual, ...]:
    """The individual as it was after its last epoch, or after any, where epochs are candidates.

    One for each genotype, at the last epoch that read it, and at most `most_candidates`. By sieve `lasted` the last
    genotype, then those that lasted most epochs; by `params` those of most parameters, whether the last or not; of
    equals the later. Early stopping (DARTS+, RobustDARTS) takes one of these. `params_of` is asked only by the sieve of
    parameters.
    """
    if config.candidates == "last":
        return (trained,)
    epochs: dict[Genotype, list[EpochRecord]] = {}
    for record in trained.history:
        if record.genotype is not None and record.genotype != trained.genotype:
            epochs.setdefault(record.genotype, []).append(record)
    lasted = sorted(epochs.values(), key=lambda records: (-len(records), -records[-1].epoch))
    found = [trained, *(_as_after(trained, records[-1]) for records in lasted)]
    if config.sieve == "params":
        found.sort(key=lambda each: (-params_of(each), -(each.epoch or 0)))
    return tuple(found[: config.most_candidates])


def _as_after(trained: TrainedIndividual, record: EpochRecord) -> TrainedIndividual:
    return trained.model_copy(
        update={
            "alpha": record.alpha,
            "genotype": record.genotype,
            "valid_accuracy": record.valid_accuracy,
            "epoch": record.epoch,
            "skips_set_aside": (),  # of which only the last epoch's are known
        }
    )


def after_equal_epochs(trained: Sequence[TrainedIndividual]) -> list[TrainedIndividual]:
    """All as they were after as many epochs as the shortest training has, whose time was over first.

    So those who are compared were trained alike. One that was read by worth stays as it is: only its last epoch was.
    """
    epochs = min((len(each.history) for each in trained), default=0)
    return [
        each
        if len(each.history) == epochs or each.worth is not None
        else _as_after(each, each.history[epochs - 1]).model_copy(
            update={"history": each.history[:epochs], "discretized_accuracy": None, "discretized_loss": None}
        )
        for each in trained
    ]


def best_of_each(
    candidates: Sequence[EvaluatedIndividual], config: ResolvedSearchConfig
) -> dict[str, EvaluatedIndividual]:
    """Of each individual, by its id, the candidate whose weighted objectives are the highest; of equals the first.

    Objectives are scaled by their range over all candidates given (Eq. 6) and weighted as the result's.
    """
    if not candidates:
        return {}
    weights = weights_of(config.result, config.objectives)
    sums = weighted_sums(oriented_values(candidates, config.objectives), list(weights.values()))
    best: dict[str, tuple[float, EvaluatedIndividual]] = {}
    for candidate, value in zip(candidates, sums.tolist(), strict=True):
        if candidate.id not in best or value > best[candidate.id][0]:
            best[candidate.id] = value, candidate
    return {name: candidate for name, (_, candidate) in best.items()}
