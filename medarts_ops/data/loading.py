"""How far the loading of images is, or another work before a job, told to whoever listens; loaders know nobody.

The listener belongs to the context (`contextvars`) and is no argument: between a command and a loader lie a dozen
functions with no use for it, and loaders that others register take a `DatasetConfig` alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class LoadingProgress:
    """Of the `total` files, or others, that a step goes through, so many are done; `step` says which it is."""

    step: str
    done: int
    total: int


Listener = Callable[[LoadingProgress], None]

_LISTENER: ContextVar[Listener | None] = ContextVar("medarts_ops.data.loading", default=None)


@contextmanager
def told_of_loading(listener: Listener) -> Iterator[None]:
    """While this lasts, `listener` is told what is loaded here, at the start of each step and after every file."""
    before = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(before)


def telling(step: str, results: Iterable[T], total: int) -> Iterator[T]:
    """The `results` as they come, each of them told as one more of `total`."""
    listener = _LISTENER.get()
    if listener is None:
        yield from results
        return
    listener(LoadingProgress(step, 0, total))
    for done, result in enumerate(results, 1):
        listener(LoadingProgress(step, done, total))
        yield result
