"""What is found out about individuals after their last epoch, as part of their training."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from medarts_ops.individual import Outcome, TrainedIndividual

Found = TypeVar("Found")


def found_afterwards(
    outcomes: Sequence[Outcome],
    find: Callable[[], Sequence[Found]],
    with_it: Callable[[TrainedIndividual, Found], Outcome],
) -> list[Outcome]:
    """The outcomes, each trained one with what was found about it.

    `find` gives something for each outcome, in their order, and is not called where none is trained. The seconds that
    it takes are shared among the trained ones and added to theirs.
    """
    trained = sum(isinstance(outcome, TrainedIndividual) for outcome in outcomes)
    if not trained:
        return list(outcomes)
    started = time.perf_counter()
    found = find()
    seconds = (time.perf_counter() - started) / trained
    return [
        with_it(outcome.model_copy(update={"seconds": outcome.seconds + seconds}), each)
        if isinstance(outcome, TrainedIndividual)
        else outcome
        for outcome, each in zip(outcomes, found, strict=True)
    ]
