"""What a search that is resumed need not do again, read from its journal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from medarts_ops.individual import Individual, Measured
from medarts_ops.observers import GenotypeTrained, IndividualFinished, PopulationBorn, PopulationPruned, SearchEvent


class Known(NamedTuple):
    """What earlier processes of a search came to.

    Populations, and who of them was pruned, by stage and round, outcomes by individual's id, and genotypes' short
    trainings.
    """

    populations: Mapping[tuple[int, int], tuple[Individual, ...]]
    pruned: Mapping[tuple[int, int], PopulationPruned]
    outcomes: Mapping[str, Measured]
    derived: Sequence[GenotypeTrained]

    @classmethod
    def from_events(cls, events: Sequence[SearchEvent]) -> Known:
        born = {(event.stage, event.round): event.individuals for event in events if isinstance(event, PopulationBorn)}
        pruned = {(event.stage, event.round): event for event in events if isinstance(event, PopulationPruned)}
        outcomes = {event.individual.id: event.outcome for event in events if isinstance(event, IndividualFinished)}
        return cls(born, pruned, outcomes, [event for event in events if isinstance(event, GenotypeTrained)])
