"""Inheritance: survivors go on to the next stage's deeper supernet with their α (ME-DARTS, section III.B)."""

from __future__ import annotations

from collections.abc import Sequence

from medarts_ops.individual import Individual, RankedIndividual, individual_id


def inherit(survivors: Sequence[RankedIndividual], stage_index: int, stage_name: str) -> tuple[Individual, ...]:
    """The survivors as individuals of the next stage, numbered from 0 in their order.

    Each carries its parent's trained α bit for bit and keeps its hyperparameters. Only α goes on: the weights of
    a stage start afresh, and α fits since all supernets share one cell, however many they stack.
    """
    return tuple(
        Individual(
            id=individual_id(stage_name, number),
            stage=stage_index,
            number=number,
            origin="inherited",
            parents=(survivor.id,),
            alpha=survivor.trained.alpha,
            hyperparameters=survivor.trained.individual.hyperparameters,
        )
        for number, survivor in enumerate(survivors)
    )
