"""Ray's tasks that are under way, and what they tell: in this process, or in the cluster of which it is a client."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any, Literal, Protocol

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.client import ray as client

from medarts_ops.errors import SearchError, named
from medarts_ops.executors.on_ray.cluster import Needs
from medarts_ops.executors.on_ray.task import Message, carried_out

# What comes of a task beside what it tells: it is over, its process or machine died, or it never came to our code.
Told = Message | tuple[Literal["over", "died", "unable"], str]


class Streams(Protocol):
    def keep(self, value: object) -> Any:
        """Have Ray keep a value that several tasks are given, as long as what this returns is kept."""

    def begin(self, arguments: Sequence[Any]) -> int:
        """Have Ray carry a task out with these arguments of `carried_out`; the number that it goes by."""

    def next(self) -> tuple[int, Told]:
        """The next that one of them tells; waits for it. After `over` and `died` nothing comes of that one."""

    def cancel(self) -> None:
        """End all of them; nothing comes of any."""


class StreamsHere:
    """They belong to this process: Ray ends them with it."""

    def __init__(self, wants: Needs) -> None:
        self._running: dict[Any, int] = {}
        self._numbers = count()
        self._remote = ray.remote(
            num_returns="streaming",
            max_retries=0,  # ours go on from a checkpoint
            max_calls=1 if wants.gpus else 0,  # a card's memory comes back with its process alone
            num_cpus=wants.cpus,
            num_gpus=wants.gpus,
            memory=wants.memory,
        )(carried_out)

    def keep(self, value: object) -> Any:
        return ray.put(value)

    def begin(self, arguments: Sequence[Any]) -> int:
        number = next(self._numbers)
        self._running[self._remote.remote(*arguments)] = number
        return number

    def next(self) -> tuple[int, Told]:
        told = self.next_within(None)
        assert told is not None, "without a limit it waits"
        return told

    def next_within(self, seconds: float | None) -> tuple[int, Told] | None:
        """As `next`, but None if nothing is told for so long."""
        ready, _ = ray.wait(list(self._running), num_returns=1, timeout=seconds)
        if not ready:
            return None
        number, told = self._running[ready[0]], _told(ready[0])
        if told[0] in ("over", "died"):
            del self._running[ready[0]]
        return number, told

    def cancel(self) -> None:
        for stream in self._running:
            ray.cancel(stream, force=True)
        self._running.clear()


def _told(stream: Any) -> Told:
    try:
        message: Message = ray.get(next(stream))
    except StopIteration:
        return "over", ""
    except RayTaskError as error:  # what breaks off in our code is told as a message
        return "unable", named(error.cause)
    except RayError as error:
        return "died", str(error).splitlines()[0].rstrip(".")
    return message


class StreamsThere:
    """They belong to a process of the cluster's head, as Ray hands a client no streams. It ends with this one."""

    def __init__(self, wants: Needs) -> None:
        on_the_head = {"node:__internal_head__": 0.001}  # whose end is the cluster's
        self._proxy = ray.remote(num_cpus=0, resources=on_the_head)(StreamsHere).remote(wants)

    def keep(self, value: object) -> Any:
        with _unless_it_is_lost():
            return ray.put(value)

    def begin(self, arguments: Sequence[Any]) -> int:
        return int(self._ask("begin", arguments))

    def next(self) -> tuple[int, Told]:
        while (told := self._ask("next_within", 1.0)) is None:
            pass  # asked again, so that Ctrl-C is heard here and `cancel` there
        number, what = told
        return number, what

    def cancel(self) -> None:
        self._ask("cancel")

    def _ask(self, method: str, *arguments: object) -> Any:
        with _unless_it_is_lost():
            return ray.get(getattr(self._proxy, method).remote(*arguments))


@contextlib.contextmanager
def _unless_it_is_lost() -> Iterator[None]:
    try:
        yield
    except (RayError, ConnectionError) as error:
        what = str(error).splitlines()[0][:200]
        raise SearchError(f"the cluster of Ray is lost ({what}): resume once there is one again") from error


def build_streams(wants: Needs) -> Streams:
    """As this process is of the cluster itself, or a client of it (`ray://`)."""
    return StreamsThere(wants) if client.is_connected() else StreamsHere(wants)
