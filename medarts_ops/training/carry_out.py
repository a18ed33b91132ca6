"""Whatever an executor is given is carried out here, in whatever process."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch

from medarts_ops.errors import MedartsError, named
from medarts_ops.tasks import DerivedTask, Progress, Result, Task, TrainingTask, Who
from medarts_ops.training.derived import read_derived_images, train_derived
from medarts_ops.training.genotype import EvaluationTask, read_images, train_genotype
from medarts_ops.training.group import read_stage, train_group
from medarts_ops.training.kept_memory import give_back
from medarts_ops.training.placed_images import StageTensors
from medarts_ops.training.runtime import Runtime
from medarts_ops.training.workplace import TaskFiles, Workplace


class _Kind(NamedTuple):
    """How a kind of task is carried out: what reads its images, places them for training, and trains on them."""

    read: Callable[[Any], Any]
    train: Callable[..., Sequence[Any]]
    place: Callable[[Any, Runtime], Any] = lambda images, runtime: images


_KINDS: dict[type, _Kind] = {
    TrainingTask: _Kind(read_stage, train_group, StageTensors.place),
    DerivedTask: _Kind(read_derived_images, train_derived),
    EvaluationTask: _Kind(read_images, train_genotype),
}

_logger = logging.getLogger(__name__)


def read_images_of(task: Task[Who, Progress, Result]) -> Any:
    """A task's images as any process can hand them on (to `workplace_with`); raises a DataError as `carry_out`."""
    return _KINDS[type(task)].read(task)


def workplace_with(images: Any, task: Task[Who, Progress, Result], runtime: Runtime, files: TaskFiles) -> Workplace:
    """Where a task is carried out whose images were read elsewhere; they are used as they are, and must be writable."""
    return Workplace(runtime, _KINDS[type(task)].place(images, runtime), task.source, files)


def carry_out(
    task: Task[Who, Progress, Result], workplace: Workplace, on_progress: Callable[[Who, Progress], None]
) -> Iterator[Result]:
    """Train, from the first epoch or from the task's checkpoint, and give a result for each of its names.

    A failure is a result, not an error. What runs out of memory is trained in two halves where that is the same work,
    or else has failed. Whatever else breaks off, a mistake in the code too, fails the task. What `on_progress` raises
    is raised: it is not of the training. So is a DataError where data can't be read, and a SearchError where a file
    can't be written, or a newer release wrote the checkpoint.
    """
    kind, names = _KINDS[type(task)], ", ".join(task.names)
    data = workplace.data_of(task.source, lambda: kind.place(kind.read(task), workplace.runtime))
    try:
        results: Sequence[Result] | None = kind.train(task, workplace, data, _apart(on_progress))
        give_back(workplace.runtime.device)
    except _ListenerError as error:
        raise error.args[0] from None
    except MedartsError:
        raise
    except Exception as error:
        if _is_out_of_memory(error):
            _logger.warning("%s: out of memory (%s)", names, str(error).splitlines()[0] if str(error) else "")
            results = None
        else:
            _logger.warning("%s: %s", names, named(error), exc_info=error)
            results = task.failures("crashed", f"training broke off ({named(error)}); `--debug` and the log show where")
    if results is not None:
        yield from results
        return
    # Outside the handler, which keeps the frames that hold the memory.
    workplace.runtime.free_cache()
    halves = task.halves()
    for half in halves:
        yield from carry_out(half, workplace, on_progress)
    if not halves:
        yield from task.failures("out_of_memory", f"out of memory with {task.remedy}")


def _is_out_of_memory(error: Exception) -> bool:
    # Torch's allocator of a CPU has no error of its own.
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "DefaultCPUAllocator" in str(error)


class _ListenerError(Exception):
    """Carries what a listener raised past the handlers that are for the training's own errors."""


def _apart(on_progress: Callable[[Who, Progress], None]) -> Callable[[Who, Progress], None]:
    def tell(who: Who, progress: Progress) -> None:
        try:
            on_progress(who, progress)
        except Exception as error:
            raise _ListenerError(error) from error

    return tell
