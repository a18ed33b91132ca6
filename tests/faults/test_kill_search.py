"""SIGKILL at many points of a real search: resumed, it ends as one that was never killed, in results and in stores."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import optuna
import pytest
from journals import held_of
from kills import exit_code_of, search_in, stores

from medarts_ops.individual import SearchResult
from medarts_ops.tracking.resume import resumed_search
from medarts_ops.tracking.stores.opening import open_store

JOURNAL = "medarts_ops.journal.journal:_write_through"
CHECKPOINT = "medarts_ops.journal.checkpoint:CheckpointFile.write"
RENAME = "medarts_ops.whole_file:sync_folder"
STEP = "medarts_ops.training.bilevel:SearchTraining.step"
RANKING = "medarts_ops.stages:rank"
MLFLOW = "medarts_ops.tracking.stores.run_store:RunStore"
OPTUNA = "medarts_ops.tracking.studies.stage_record:record_stage"
TOLD = "medarts_ops.tracking.studies.proposer:OptunaProposer.tell"
DATA = "medarts_ops.data.stage_data:StageData.save"

POINTS: list[tuple[str, int, bool]] = [
    *((JOURNAL, at, after) for at in (3, 4, 9, 20) for after in (False, True)),
    *((CHECKPOINT, at, after) for at in (1, 2, 5) for after in (False, True)),
    *((RENAME, at, False) for at in (2, 4, 9)),
    *((STEP, at, False) for at in (1, 2, 3, 7, 18, 31)),
    *((RANKING, at, after) for at in (1, 2) for after in (False, True)),
    *((f"{MLFLOW}.create_run", at, after) for at in (2, 5) for after in (False, True)),
    *((f"{MLFLOW}.log_metrics", at, after) for at in (1, 4, 12) for after in (False, True)),
    *((f"{MLFLOW}.log_json", at, True) for at in (2, 6)),
    *((f"{MLFLOW}.finish", at, after) for at in (1, 8) for after in (False, True)),
    *((OPTUNA, at, after) for at in (1, 3) for after in (False, True)),
    *((TOLD, 1, after) for after in (False, True)),
    *((DATA, at, True) for at in (1, 2)),
]


def without_clocks(value: Any) -> Any:
    if isinstance(value, dict):
        timed = ("seconds", "images_per_second")
        return {key: without_clocks(each) for key, each in value.items() if key not in timed}
    return [without_clocks(each) for each in value] if isinstance(value, list) else value


def told(result: SearchResult) -> Any:
    return without_clocks(result.model_dump(mode="json"))


def comparable(held: dict[str, dict[str, Any]]) -> Any:
    """What a store holds, without what was measured in seconds and without notes, which name run ids and hours."""
    timed = ("seconds", "hours", "images_per_second")
    return {
        name: {
            part: {
                key: value
                for key, value in values.items()
                if not any(word in key for word in timed) and key != "mlflow.note.content"
            }
            if isinstance(values, dict)
            else values
            for part, values in run.items()
        }
        for name, run in held.items()
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, template_database: Path) -> tuple[Any, Any]:
    """What an undisturbed search finds, and what its store then holds."""
    folder = tmp_path_factory.mktemp("whole")
    shutil.copy(template_database, folder / "mlflow.db")
    assert exit_code_of(search_in, folder, None, 0, False) == 0
    from medarts_ops.journal.journal import Journal
    from medarts_ops.journal.kinds import SEARCH
    from medarts_ops.observers import SearchFinished

    finished = Journal.open(folder / "work" / "mine", SEARCH).find(SearchFinished)
    assert isinstance(finished, SearchFinished)
    return told(finished.result), comparable(held_of(open_store(stores(folder)["tracking_uri"]), "mine"))


@pytest.mark.parametrize(("target", "at", "after"), POINTS)
def test_killed_anywhere_and_resumed_nothing_is_lost(tmp_path, whole, template_database, target, at, after):
    expected, held = whole
    shutil.copy(template_database, tmp_path / "mlflow.db")
    assert exit_code_of(search_in, tmp_path, target, at, after) == -9
    found = resumed_search("mine", pictures=False, **stores(tmp_path))
    assert told(found.result) == expected
    assert comparable(held_of(open_store(stores(tmp_path)["tracking_uri"]), "mine")) == held
    assert found.waiting == 0
    storage = stores(tmp_path)["storage"]
    states = Counter(
        trial.state.name
        for name in optuna.study.get_all_study_names(storage)
        for trial in optuna.load_study(study_name=name, storage=storage).trials
    )
    assert set(states) == {"COMPLETE"}
