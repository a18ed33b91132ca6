"""In which order tasks are handed out: a stage ends with its last one."""

from __future__ import annotations

from collections.abc import Sequence

from medarts_ops.tasks import Progress, Result, Task, Who


def longest_first(tasks: Sequence[Task[Who, Progress, Result]]) -> list[Task[Who, Progress, Result]]:
    """The tasks by their work, in their own order where it is equal.

    So the last to end is a short one: at most 4/3 of the best possible time (Graham 1969), where any order may take 2.
    """
    return sorted(tasks, key=lambda task: -task.work)
