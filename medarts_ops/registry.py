"""Parts by name: built in, registered by this process, or announced by an installed package as an entry point."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from typing import Any, Generic, TypeVar

from medarts_ops.errors import ConfigError, named, unknown_name

Part = TypeVar("Part")

PLAIN_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")  # names become file names, metrics and parts of dotted paths
WHERE_TO_DEFINE = "define it at the top of a module or script that can be imported, or set runtime.workers to 1"

_registered: dict[str, dict[str, Any]] = {}
"""What this process registered, by entry-point group and name; worker processes are handed all of it."""


class Registry(Generic[Part]):
    """The parts of one kind. Built-in ones go before others of their name; no entry point is loaded before it is used.

    `kind` is a word for messages, `path` where a config names such a part, `group` the group of entry points by which
    installed packages announce theirs, `part_type` what every part is an instance of, in messages `part_is`.
    """

    def __init__(
        self,
        kind: str,
        path: str,
        group: str,
        built_in: Mapping[str, Part],
        *,
        part_type: Any = Callable,
        part_is: str = "",
    ) -> None:
        self.kind, self.path, self.group = kind, path, group
        self.built_in, self._part_type, self._part_is = built_in, part_type, part_is

    def names(self) -> tuple[str, ...]:
        """All names in alphabetical order."""
        announced = {entry.name for entry in announced_parts(self.group)}
        return tuple(sorted(announced.union(self.built_in, _registered.get(self.group, ()))))

    def get(self, name: str, path: str | None = None) -> Part:
        """The part of that name.

        `path` is the dotted path of the config that messages begin with, where it is not the registry's.

        Raises:
            ConfigError: there is none, an installed package's can't be loaded, or two packages have one.
        """
        path = path or self.path
        for parts in (self.built_in, _registered.get(self.group, {})):
            if name in parts:
                part: Part = parts[name]
                return part
        found = list(announced_parts(self.group).select(name=name))
        if not found:
            raise ConfigError(f"{path}: {unknown_name(self.kind, name, self.names())}")
        if len(found) > 1:
            packages = " and ".join(sorted(map(_package, found)))
            raise ConfigError(f"{path}: {packages} both have a {self.kind} {name!r}: uninstall one of them")
        which = f"{path}: {self.kind} {name!r} of {_package(found[0])}"
        with _in_one_line(f"{which} can't be loaded", "mend, update or uninstall that package"):
            loaded: Part = found[0].load()
        return self._checked(loaded, which)

    def register(self, name: str, part: Part) -> None:
        """Make `part` known to this process and its worker processes; ConfigError if name or type are not allowed."""
        if not PLAIN_WORD.fullmatch(name):
            raise ConfigError(
                f"a {self.kind} can't be named {name!r}: allowed are up to 40 letters, digits, _ and -, a letter first"
            )
        if name in self.names():
            raise ConfigError(f"{self.kind} {name!r} is there already: choose another name")
        _registered.setdefault(self.group, {})[name] = self._checked(part, f"{self.kind} {name!r}")

    def _checked(self, part: Part, which: str) -> Part:
        if not isinstance(part, self._part_type):
            allowed = self._part_is or self._part_type.__name__
            raise ConfigError(f"{which} is of type {type(part).__name__}: allowed is {allowed}; see docs/extending.md")
        return part


@cache  # reading what is installed takes a while, and each value that is shown asks
def announced_parts(group: str) -> EntryPoints:
    return entry_points(group=group)


def registered() -> bytes:
    """All of `_registered` for `register_again`; ConfigError if a part can't be found by name in its module."""
    with _in_one_line("what was registered can't be handed to worker processes", WHERE_TO_DEFINE):
        return pickle.dumps(_registered)


def register_again(parts: bytes) -> None:
    """Make known what `registered` gave in the process that started this; ConfigError if a part can't be imported."""
    with _in_one_line("a worker process can't import what was registered", WHERE_TO_DEFINE):
        for group, by_name in pickle.loads(parts).items():
            _registered.setdefault(group, {}).update(by_name)


@contextmanager
def _in_one_line(wrong: str, remedy: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # pickling and importing run foreign code
        raise ConfigError(f"{wrong} ({named(error)}): {remedy}") from error


def _package(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value
