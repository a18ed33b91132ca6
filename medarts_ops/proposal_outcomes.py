"""What came of proposed individuals, on its way to whoever proposed them."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress

from medarts_ops.errors import StoreError
from medarts_ops.individual import Ended, Hyperparameters
from medarts_ops.observers import IndividualFinished, PopulationBorn, PopulationPruned, SearchEvent
from medarts_ops.proposers import Proposer


class ProposalRecorder:
    """Tells the proposer what came of a round when its last individual has finished, from the events alone.

    Raises (from `notify`):
        StoreError: the proposer's storage failed; telling the event again makes up for it.
    """

    def __init__(self, proposer: Proposer) -> None:
        self._proposer = proposer
        self._rounds: dict[int, tuple[str, ...]] = {}
        self._outcomes: dict[str, Ended] = {}

    def notify(self, event: SearchEvent) -> None:
        """Take note of the first stage's individuals: only they were proposed."""
        match event:
            case PopulationBorn(stage=0, round=round, individuals=individuals):
                self._rounds[round] = tuple(individual.id for individual in individuals)
            case PopulationPruned(stage=0, pruned=pruned):
                self._came({one.individual.id: one for one in pruned})
            case IndividualFinished(outcome=outcome) if event.individual.stage == 0:
                self._came({event.individual.id: outcome})

    def _came(self, outcomes: Mapping[str, Ended]) -> None:
        self._outcomes |= outcomes
        for round, members in self._rounds.items():
            if outcomes.keys() & set(members) and self._outcomes.keys() >= set(members):
                self._proposer.tell(round, [self._outcomes[member] for member in members])


class PatientProposer:
    """A proposer that is told later what its storage can't take now, at the latest before it proposes again.

    Raises (from `propose`):
        StoreError: the storage is away: nobody else can say what to try next, and guesses would change the search.
    """

    def __init__(self, proposer: Proposer) -> None:
        self._proposer = proposer
        self._untold: deque[tuple[int, Sequence[Ended]]] = deque()

    def propose(self, round: int, n: int) -> tuple[Hyperparameters, ...]:
        self._tell_untold()
        return self._proposer.propose(round, n)

    def tell(self, round: int, outcomes: Sequence[Ended]) -> None:
        self._untold.append((round, outcomes))
        with suppress(StoreError):
            self._tell_untold()

    def _tell_untold(self) -> None:
        while self._untold:
            self._proposer.tell(*self._untold[0])
            self._untold.popleft()
