"""SIGKILL at many points of a real evaluation: resumed, it ends as one that was never killed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from kills import evaluate_in, exit_code_of, stores

from medarts_ops.individual import EvaluationResult
from medarts_ops.journal.evaluation_folder import CHECKPOINT, WEIGHTS
from medarts_ops.tracking.resume import resumed_evaluation
from medarts_ops.tracking.stores.opening import open_store
from medarts_ops.tracking.stores.run_store import RunStore
from medarts_ops.tracking.vocabulary import EVALUATION_TAG

CHECKPOINTS = "medarts_ops.journal.checkpoint:CheckpointFile"
JOURNAL = "medarts_ops.journal.journal:_write_through"
STEP = "medarts_ops.training.supervised:SupervisedTraining.step"
MLFLOW = "medarts_ops.tracking.stores.run_store:RunStore"

POINTS: list[tuple[str, int, bool]] = [
    ("medarts_ops.evaluation:write_started", 1, True),
    *((JOURNAL, at, after) for at in (1, 2, 3, 4) for after in (False, True)),
    *((STEP, at, False) for at in (1, 4, 8, 18)),
    *((f"{CHECKPOINTS}.write", at, after) for at in (1, 2, 3) for after in (False, True)),
    *(("medarts_ops.whole_file:sync_folder", at, False) for at in (1, 2, 4)),
    (f"{CHECKPOINTS}.delete", 1, False),
    (f"{CHECKPOINTS}.delete", 1, True),
    ("medarts_ops.training.genotype:_save_weights", 1, False),
    ("medarts_ops.training.genotype:_save_weights", 1, True),
    ("medarts_ops.evaluation:write_result", 1, False),
    *((f"{MLFLOW}.create_run", 1, after) for after in (False, True)),
    *((f"{MLFLOW}.log_params", 1, after) for after in (False, True)),
    *((f"{MLFLOW}.log_json", at, True) for at in (1, 4)),
    *((f"{MLFLOW}.log_metrics", at, after) for at in (1, 3, 4) for after in (False, True)),
    *((f"{MLFLOW}.log_file", 1, after) for after in (False, True)),
    *((f"{MLFLOW}.finish", 1, after) for after in (False, True)),
]


def told(result: EvaluationResult) -> Any:
    timed = {"seconds", "images_per_second"}
    return [record.model_dump(exclude=timed) for record in result.history]


def resumed(folder: Path) -> EvaluationResult:
    place = stores(folder)
    place.pop("storage")
    found = resumed_evaluation("mine", pictures=False, **place)
    assert found.waiting == 0
    return found.result


def held(store: RunStore) -> Any:
    """The one run, without what was measured in seconds."""
    (run,) = store.runs_with(store.experiment_id(), EVALUATION_TAG, "mine")
    points = {
        key: sorted((point.step, point.value) for point in store._client.get_metric_history(run.run_id, key))
        for key in run.metrics
        if not any(word in key for word in ("seconds", "hours", "images_per_second"))
    }
    artifacts = sorted(info.path for info in store._client.list_artifacts(run.run_id))
    return run.status, run.params, sorted(run.tags), points, artifacts


def weights(folder: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = torch.load(folder / "work" / "mine" / WEIGHTS, weights_only=True)
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, template_database: Path) -> tuple[Any, Any, Any]:
    """What an undisturbed evaluation finds, what its store then holds, and its weights."""
    folder = tmp_path_factory.mktemp("whole")
    shutil.copy(template_database, folder / "mlflow.db")
    assert exit_code_of(evaluate_in, folder, None, 0, False) == 0
    return told(resumed(folder)), held(open_store(stores(folder)["tracking_uri"])), weights(folder)


@pytest.mark.parametrize(("target", "at", "after"), POINTS)
def test_killed_anywhere_and_resumed_nothing_is_lost(tmp_path, whole, template_database, target, at, after):
    expected, run, trained = whole
    shutil.copy(template_database, tmp_path / "mlflow.db")
    assert exit_code_of(evaluate_in, tmp_path, target, at, after) == -9
    for _ in range(2):  # the second time there is nothing left to train, and nothing is told twice
        assert told(resumed(tmp_path)) == expected
        assert held(open_store(stores(tmp_path)["tracking_uri"])) == run
    assert all(torch.equal(trained[name], value) for name, value in weights(tmp_path).items())
    assert not (tmp_path / "work" / "mine" / CHECKPOINT).exists()
