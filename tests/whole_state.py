"""All that a job left behind, in stores and folders, without ids and times: to compare two ways to the same end."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlparse

import optuna

from medarts_ops.tracking.stores.opening import open_store

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

TIMED = ("seconds", "hours", "images_per_second", "timestamp")
RECORDS, PROCESS = "reproducibility/", "process_started/"  # one for each process that worked on a job


def whole_state(folder: Path, tracking_uri: str, storage: str) -> dict[str, Any]:
    """Of a folder with its stores: runs, studies, and every file of its jobs."""
    store = open_store(tracking_uri)
    client = store._client
    experiments = client.search_experiments()
    found = list(client.search_runs([each.experiment_id for each in experiments], run_view_type=3, max_results=1000))
    names = {run.info.run_id: f"<{run.data.tags['medarts.key']} of {_job(run)}>" for run in found}
    doubled = {name for name in names.values() if list(names.values()).count(name) > 1}
    assert not doubled, f"runs are doubled: {doubled}"
    state = {
        "experiments": [(each.name, each.lifecycle_stage, dict(each.tags)) for each in experiments],
        "runs": {names[run.info.run_id]: _run(client, run) for run in found},
        "studies": {study.study_name: _study(study.study_name, storage) for study in _studies(storage)},
        "files": _files(folder / "work"),
    }
    text = json.dumps(state, sort_keys=True, default=str)
    for run_id, name in names.items():
        text = text.replace(run_id, name)
    named: dict[str, Any] = json.loads(text.replace(str(folder), "<folder>"))
    return named


def differences(one: Any, other: Any, where: str = "") -> list[str]:
    """Where two states differ, and how."""
    if isinstance(one, dict) and isinstance(other, dict):
        return [
            line
            for key in sorted(one.keys() | other.keys())
            for line in differences(one.get(key, "<absent>"), other.get(key, "<absent>"), f"{where}/{key}")
        ]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [
            line for n, pair in enumerate(zip(one, other, strict=True)) for line in differences(*pair, f"{where}/{n}")
        ]
    return [] if one == other else [f"{where}: {str(one)[:200]} became {str(other)[:200]}"]


def _job(run: Run) -> str:
    tags = (f"medarts.{kind}_id" for kind in ("search", "evaluation", "experiment"))
    return next(run.data.tags[tag] for tag in tags if tag in run.data.tags)


def _run(client: MlflowClient, run: Run) -> dict[str, Any]:
    points = {key: client.get_metric_history(run.info.run_id, key) for key in run.data.metrics}
    tags = {key: value for key, value in run.data.tags.items() if not key.startswith("mlflow.source")}
    if "mlflow.note.content" in tags:  # it says what took how long
        tags["mlflow.note.content"] = re.sub(r"[\d.]+ (s|min|h)\b", "#", tags["mlflow.note.content"])
    place = Path(unquote(urlparse(run.info.artifact_uri).path))
    return {
        "name": run.info.run_name,
        "state": (run.info.status, run.info.lifecycle_stage, run.info.end_time is not None),
        "params": dict(run.data.params),
        "tags": tags,
        "metrics": {
            key: sorted((point.step, None if _is_timed(key) else repr(point.value)) for point in each)
            for key, each in points.items()
        },
        "inputs": [
            (each.dataset.name, each.dataset.digest, each.dataset.profile, [(tag.key, tag.value) for tag in each.tags])
            for each in run.inputs.dataset_inputs
        ],
        "artifacts": {name: said for name, said in _files(place).items() if not name.startswith(RECORDS)},
    }


def _studies(storage: str) -> list[Any]:
    return list(optuna.get_all_study_summaries(storage=storage))


def _study(name: str, storage: str) -> dict[str, Any]:
    study = optuna.load_study(study_name=name, storage=storage)
    return {
        "directions": [direction.name for direction in study.directions],
        "user_attrs": study.user_attrs,
        "system_attrs": study._storage.get_study_system_attrs(study._study_id),
        "trials": [
            {
                "number": trial.number,
                "state": trial.state.name,
                "values": trial.values,
                "params": trial.params,
                "distributions": {key: str(value) for key, value in trial.distributions.items()},
                "user_attrs": trial.user_attrs,
                "system_attrs": trial.system_attrs,
            }
            for trial in study.trials
        ],
    }


def _files(folder: Path) -> dict[str, Any]:
    paths = sorted(path for path in folder.rglob("*") if path.name != "lock")
    return {f"{path.relative_to(folder)}": _content(path) if path.is_file() else "<folder>" for path in paths}


def _content(path: Path) -> Any:
    """What a file says: JSON without clocks, tensors as they are, other bytes by their digest."""
    content = path.read_bytes()
    match path.suffix:
        case ".json":
            return _untimed(json.loads(content))
        case ".jsonl":
            lines = [_untimed(json.loads(line)) for line in content.splitlines()]
            told = [line for line in lines if not str(line.get("key", "")).startswith(PROCESS)]
            # Their numbers, and when they were written.
            return [{key: value for key, value in line.items() if key not in ("n", "at")} for line in told]
        case ".pt":
            import torch

            tensors = torch.load(BytesIO(content), weights_only=True)
            return {name: hashlib.sha256(value.numpy().tobytes()).hexdigest() for name, value in tensors.items()}
        case ".html":
            return "<page>"  # it says hours, and draws seconds
        case _:
            return hashlib.sha256(content).hexdigest()


def _is_timed(key: str) -> bool:
    return any(word in key for word in TIMED)


def _untimed(value: Any) -> Any:
    """Without clocks; a table that says seconds in a column loses that column."""
    if isinstance(value, Mapping):
        columns, rows = value.get("columns"), value.get("data")
        if isinstance(columns, list) and isinstance(rows, list):
            kept = [n for n, column in enumerate(columns) if not _is_timed(str(column))]
            return {"columns": [columns[n] for n in kept], "data": [[row[n] for n in kept] for row in rows]}
        return {key: _untimed(each) for key, each in value.items() if not _is_timed(key) and key != "digest"}
    return [_untimed(each) for each in value] if isinstance(value, list) else value
