"""Calls in processes of their own that begin at the same moment, and what came of each."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from threading import Barrier
from typing import Any, NamedTuple

from medarts_ops.errors import MedartsError

START_SECONDS = 60


class Ended(NamedTuple):
    """How a process ended: `refusal` is the message of its MedartsError, None where it went on to the end."""

    pid: int
    exit_code: int | None
    refusal: str | None


def at_once(calls: Sequence[Callable[[], Any]]) -> list[Ended]:
    """Make every call in a fresh process that has the heavy imports behind it, all at the same moment.

    A call is what pickle can send. An error that is none of ours is the process's traceback and an exit code of 1.
    """
    context = get_context("forkserver")
    context.set_forkserver_preload(["torch", "mlflow", "optuna", "medarts_ops.tracking.resume"])
    barrier = context.Barrier(len(calls))
    started = []
    for call in calls:
        answer, question = context.Pipe(duplex=False)
        process = context.Process(target=_wait_and_call, args=(barrier, call, question))
        process.start()
        question.close()
        started.append((process, answer))
    return [_ended(process, answer) for process, answer in started]


def _wait_and_call(barrier: Barrier, call: Callable[[], Any], question: Connection) -> None:
    import torch

    torch.set_num_threads(1)
    os.environ.pop("PYTEST_CURRENT_TEST", None)  # MLflow checks itself where it sees that, and takes longer
    barrier.wait(START_SECONDS)
    try:
        call()
    except MedartsError as error:
        question.send(str(error))
    else:
        question.send(None)


def _ended(process: Any, answer: Connection) -> Ended:
    try:
        refusal = answer.recv()
    except EOFError:
        refusal = None
    process.join()
    return Ended(process.pid, process.exitcode, refusal)
