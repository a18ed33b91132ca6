"""What an operator makes of survivors, and the individual of the next stage that it becomes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from medarts_ops.alpha import Alpha
from medarts_ops.individual import ChildOrigin, Individual, RankedIndividual, individual_id


class Offspring(NamedTuple):
    """A child's α, the operator that it is of, and its parents, the one that gives its hyperparameters first."""

    origin: ChildOrigin
    parents: tuple[RankedIndividual, ...]
    alpha: Alpha


def born(
    offspring: Iterable[Offspring], stage_index: int, stage_name: str, first_number: int
) -> tuple[Individual, ...]:
    """The children as individuals of a stage, numbered from `first_number`.

    Each has the hyperparameters of its first parent (ours; the paper says nothing of a child's).
    """
    return tuple(
        Individual(
            id=individual_id(stage_name, number),
            stage=stage_index,
            number=number,
            origin=child.origin,
            parents=tuple(parent.id for parent in child.parents),
            alpha=child.alpha,
            hyperparameters=child.parents[0].trained.individual.hyperparameters,
        )
        for number, child in enumerate(offspring, start=first_number)
    )
