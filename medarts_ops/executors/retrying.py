"""Work that is carried out again where it failed by no fault of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from medarts_ops.derived import FailedDerivedTraining
from medarts_ops.individual import FailedIndividual

Work = TypeVar("Work")
Result = TypeVar("Result")


def with_retries(
    run: Callable[[Sequence[Work]], Iterable[Result]], work_left: Callable[[], Sequence[Work]], retries: int
) -> Iterator[Result]:
    """What comes of all work, as it comes; failures only once they are final.

    Whose process died or ran out of memory is tried again, as often as `retries` says, with all else that is left then;
    what diverged would do so again.
    """
    for tries_left in reversed(range(retries + 1)):
        work = work_left()
        for result in run(work) if work else ():
            failed = isinstance(result, FailedIndividual | FailedDerivedTraining) and result.cause != "diverged"
            if not (failed and tries_left):
                yield result
