"""What a process that carries out tasks keeps from one to the next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from medarts_ops.training.runtime import Runtime

Data = TypeVar("Data")


class Workplace:
    """Its runtime, and the data that it loaded last; `data` are loaded already, from `source`."""

    def __init__(self, runtime: Runtime, data: Any = None, source: object = None) -> None:
        self.runtime, self._data, self._source = runtime, data, source

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
