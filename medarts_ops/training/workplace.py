"""What a process that carries out tasks has: its runtime, the data that it loaded last, and the tasks' files."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol, TypeVar

from medarts_ops.journal.checkpoint import CheckpointFile
from medarts_ops.journal.evaluation_folder import write_whole
from medarts_ops.training.runtime import Runtime

Data = TypeVar("Data")


class SavedStates(Protocol):
    """Where the states of one training are kept."""

    def write(self, payload: bytes) -> None:
        """Make `payload` the newest state; a SearchError if it can't be kept."""
        ...

    def payloads(self) -> Iterable[tuple[Path, bytes]]:
        """What is kept and whole, the newest first, with the file that a message names."""
        ...


class TaskFiles(Protocol):
    """Where a task's checkpoints and weights are: it names them by the paths that they have where the search is."""

    def states(self, path: str) -> SavedStates:
        """The checkpoint of that path."""
        ...

    def write(self, path: str, content: bytes) -> None:
        """Keep that file, whole or not at all; a SearchError if it can't be written."""
        ...


class FilesHere:
    """A task's files on the disk of this machine."""

    def states(self, path: str) -> SavedStates:
        return CheckpointFile(Path(path))

    def write(self, path: str, content: bytes) -> None:
        write_whole(Path(path), content)


class Workplace:
    """`data` are loaded already, from `source`."""

    def __init__(
        self, runtime: Runtime, data: Any = None, source: object = None, files: TaskFiles | None = None
    ) -> None:
        self.runtime, self._data, self._source = runtime, data, source
        self.files: TaskFiles = files or FilesHere()

    def data_of(self, source: object, load: Callable[[], Data]) -> Data:
        """The data of that source, loaded unless they are what the last task used, too."""
        if self._source != source:
            self.clear()  # free the last before the next ones come
            self._data = load()
            self._source = source
        data: Data = self._data
        return data

    def clear(self) -> None:
        self._data = self._source = None
