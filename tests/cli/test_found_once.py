"""Every verb that takes a run id or a name opens a store once and looks no run up twice."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from factories import make_evaluate_config_tiny, make_search_events
from journals import write_journal
from refusals import invoke

from medarts_ops.tracking.evaluation import tracked_evaluation
from medarts_ops.tracking.stores import study_storage
from medarts_ops.tracking.stores.opening import open_store
from medarts_ops.tracking.stores.run_store import RunStore
from medarts_ops.tracking.sync import sync_job

QUICK = ("--set", "cells=3", "--set", "channels=2", "--set", "epochs=1", "--set", "runtime.threads=1")


class Place(NamedTuple):
    """A folder with two searches, an evaluation of the first one's, both stores, and the run ids in them."""

    folder: Path
    run_ids: dict[str, str]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, template_database: Path) -> Place:
    folder = tmp_path_factory.mktemp("found-once")
    uri = f"sqlite:///{shutil.copy(template_database, folder / 'mlflow.db')}"
    storage, work_dir = f"sqlite:///{folder / 'optuna.db'}", folder / "medarts-work"
    run_ids = {}
    for name in ("mine", "yours"):
        write_journal(work_dir, name, make_search_events(name))
        synced = sync_job(work_dir, name, tracking_uri=uri, storage=storage, pictures=False)
        run_ids[name] = synced.run_id
    run_ids |= {run.name: run.run_id for run in open_store(uri).runs_of_search(synced.experiment_id, "mine")}
    config = make_evaluate_config_tiny().model_copy(update={"epochs": 1})
    trained = tracked_evaluation(
        config, run_id=run_ids["mine"], name="big", tracking_uri=uri, work_dir=work_dir, pictures=False
    )
    return Place(folder, run_ids | {"big": trained.run_id})


class Spied(NamedTuple):
    """How often stores were opened, and how often each run was found by its id or name."""

    opened: Counter[str]
    found: Counter[str]


@pytest.fixture
def spied(monkeypatch: pytest.MonkeyPatch) -> Spied:
    counts = Spied(Counter(), Counter())
    opens, finds, storage = RunStore.__init__, RunStore.find_run, study_storage.RDBStorage

    def opening(self: RunStore, uri: str, artifact_root: Path | None, experiment: str | None = None) -> None:
        counts.opened["runs"] += 1
        opens(self, uri, artifact_root, experiment)

    def finding(self: RunStore, given: str) -> Any:
        run = finds(self, given)
        counts.found[run.run_id] += 1
        return run

    def opening_studies(*args: Any, **named: Any) -> Any:
        counts.opened["studies"] += 1
        return storage(*args, **named)

    monkeypatch.setattr(RunStore, "__init__", opening)
    monkeypatch.setattr(RunStore, "find_run", finding)
    monkeypatch.setattr(study_storage, "RDBStorage", opening_studies)
    return counts


RUNS = {"runs": 1}
BOTH = {"runs": 1, "studies": 1}
CALLS = [
    (("show", "{mine}"), RUNS),
    (("show", "mine"), RUNS),
    (("show", "{init-00}"), RUNS),
    (("show", "{big}"), RUNS),
    (("compare", "{mine}", "yours"), RUNS),
    (("report", "{mine}"), RUNS),
    (("report", "{init-00}"), RUNS),
    (("report", "{big}"), RUNS),
    (("report", "mine"), RUNS),
    (("evaluate", "{mine}", *QUICK), RUNS),
    (("evaluate", "{init-01}", *QUICK), RUNS),
    (("export", "{big}"), RUNS),
    (("export", "{big}", "--work-dir", "elsewhere"), RUNS),
    (("export", "big"), {}),
    (("resume", "{big}"), RUNS),
    (("resume", "big"), RUNS),
    (("sync", "mine"), BOTH),
    (("delete", "{big}", "--yes"), RUNS),
    (("delete", "{mine}", "--yes"), BOTH),
    (("delete", "yours", "--yes"), BOTH),
]


@pytest.mark.parametrize("given", ["{yours}", "yours"])
def test_a_search_that_is_resumed_is_found_once(
    place: Place, spied: Spied, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.chdir(place.folder)
    result = invoke("resume", given.format_map(place.run_ids))
    assert "is finished: there is nothing to resume" in result.stderr
    assert (dict(spied.opened), set(spied.found.values()) <= {1}) == (BOTH, True)


@pytest.mark.slow
@pytest.mark.parametrize(("words", "opened"), CALLS, ids=lambda value: " ".join(value) if value else "no store")
def test_a_store_is_opened_once_and_no_run_found_twice(
    place: Place, spied: Spied, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], opened: dict[str, int]
) -> None:
    monkeypatch.chdir(place.folder)
    result = invoke(*(word.format_map(place.run_ids) for word in words))
    assert result.exit_code == 0, result.stderr
    assert dict(spied.opened) == opened
    assert set(spied.found.values()) <= {1}
