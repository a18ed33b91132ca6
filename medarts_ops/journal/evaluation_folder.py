"""The files of an evaluation's folder beside its journal: for exports and a run's artifacts, and its checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeVar

from pydantic import ValidationError

from medarts_ops.errors import MedartsError, SearchError, os_errors_as
from medarts_ops.individual import EvaluationResult
from medarts_ops.observers import EvaluationEpochFinished, EvaluationEvent, EvaluationFinished, EvaluationStarted
from medarts_ops.value import Value
from medarts_ops.whole_file import whole_file

STARTED = "evaluation.json"
RESULT = "result.json"
CHECKPOINT = "checkpoint.pt"
WEIGHTS = "weights.pt"  # the trained network's state dict: `torch.load(file, weights_only=True)` reads it


class _StartedFile(Value):
    format: Literal["medarts-evaluation"] = "medarts-evaluation"
    version: Literal[1] = 1
    started: EvaluationStarted


class _ResultFile(Value):
    format: Literal["medarts-evaluation-result"] = "medarts-evaluation-result"
    version: Literal[1] = 1
    result: EvaluationResult


File = TypeVar("File", _StartedFile, _ResultFile)


def read_evaluation(folder: Path) -> tuple[EvaluationStarted, EvaluationResult | None]:
    """How an evaluation began and what came of it, if it is finished; a SearchError if this release can't read it."""
    started = _read(folder / STARTED, _StartedFile).started
    finished = (folder / RESULT).exists()
    return started, _read(folder / RESULT, _ResultFile).result if finished else None


def is_written(folder: Path) -> bool:
    """Whether the files of a finished evaluation are there and can be read."""
    try:
        return read_evaluation(folder)[1] is not None
    except SearchError:
        return False


def earlier_events(folder: Path) -> tuple[EvaluationEvent, ...]:
    """What happened in an evaluation of a release that kept no journal; epochs are known once it is finished."""
    started, result = read_evaluation(folder)
    if result is None:
        return (started,)
    epochs = (EvaluationEpochFinished(record=record) for record in result.history)
    return (started, *epochs, EvaluationFinished(result=result, weights_file=WEIGHTS))


def write_started(folder: Path, started: EvaluationStarted) -> None:
    """Write how an evaluation begins; a SearchError if the disk is full or the folder can't be written."""
    write_whole(folder / STARTED, _StartedFile(started=started).model_dump_json().encode())


def write_result(folder: Path, result: EvaluationResult) -> None:
    """Write what came of an evaluation; raises as `write_started`."""
    write_whole(folder / RESULT, _ResultFile(result=result).model_dump_json().encode())


def write_whole(path: Path, content: bytes) -> None:
    """Write one of these files, whole or not at all; raises as `write_started`."""
    wrong, remedy = f"{str(path)!r} can't be written", "free some space or mend the folder, then resume"
    with os_errors_as(SearchError, wrong, remedy), whole_file(path) as file:
        file.write(content)


def _read(path: Path, kind: type[File]) -> File:
    with os_errors_as(SearchError, f"{str(path)!r} can't be read", "no evaluation began here"):
        content = path.read_bytes()
    try:
        return kind.model_validate_json(content)
    except (ValidationError, MedartsError) as error:
        raise SearchError(
            f"{str(path)!r} is not what this release writes ({str(error).splitlines()[0][:120]}); resume with the "
            "release that wrote it, or evaluate again"
        ) from error
