"""How far images are read, on stderr: a first line at once, then a bar with the time left, or a line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from rich.text import Text

from medarts_ops.cli.output import progress_console
from medarts_ops.cli.progress import ProgressBoard
from medarts_ops.config import DatasetConfig
from medarts_ops.data.loading import LoadingProgress, told_of_loading
from medarts_ops.quantities import counted, duration
from medarts_ops.visible import visible

QUIET_SECONDS = 2.0
"""What takes no longer is worth no line."""

SECONDS_A_LINE = 15.0
"""Between lines, where there is no terminal for a bar."""


@contextmanager
def progress_board() -> Iterator[ProgressBoard]:
    """A board for what a command does, on which the loading of images has a row while it lasts."""
    with ProgressBoard(progress_console()) as board, told_of_loading(LoadingRows(board).notify):
        yield board


def say_what_is_read(dataset: DatasetConfig) -> None:
    """The first line of a command that reads images: said before torch is imported, which takes seconds."""
    where = {"folder": f"below {dataset.data!r}", "npz": f"in {dataset.data!r}"}
    say(f"reading images {where.get(dataset.name, f'of {dataset.name}')}")


def say(line: str) -> None:
    """A line of progress that stays, where there is no board yet."""
    progress_console().print(line, soft_wrap=True)


def looking_for(job: str) -> AbstractContextManager[object]:
    """Says so, on a terminal while it lasts: finding a job imports MLflow first, which takes seconds."""
    console, line = progress_console(), f"looking for {job}"
    if not console.is_terminal:
        say(line)
    return console.status(Text(visible(line)))


class LoadingRows:
    """Tells a person how far each step of loading is, at what speed, and what is left; `clock` counts seconds."""

    def __init__(self, board: ProgressBoard, clock: Callable[[], float] = time.monotonic) -> None:
        self._board, self._clock = board, clock
        self._began = self._said = clock()

    def notify(self, progress: LoadingProgress) -> None:
        """Shows one file more."""
        now, board = self._clock(), self._board
        if not progress.done:
            self._began = self._said = now
        seconds = now - self._began
        if progress.done == progress.total:
            board.drop(progress.step)
            if seconds > QUIET_SECONDS:
                board.say(
                    f"{progress.total:,} {progress.step} in {_joined(duration(seconds), _speed(progress, seconds))}"
                )
        elif seconds and (board.is_terminal or now - self._said > self._patience):
            self._said = now
            left = seconds / progress.done * (progress.total - progress.done) if progress.done else None
            note = "" if left is None else _joined(_speed(progress, seconds), f"{duration(left)} left")
            board.show(progress.step, progress.done, progress.total, note)

    @property
    def _patience(self) -> float:
        """Seconds that pass before the next line; the first one comes early."""
        return QUIET_SECONDS if self._said == self._began else SECONDS_A_LINE


def _speed(progress: LoadingProgress, seconds: float) -> str:
    """Nothing of what takes seconds each, as the timing of a layout does."""
    a_second = round(progress.done / seconds)
    return f"{counted(a_second, 'file')} a second" if a_second else ""


def _joined(*parts: str) -> str:
    return ", ".join(filter(None, parts))
