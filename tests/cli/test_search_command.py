"""`medarts search`, with the search itself replaced."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner, Result
from factories import make_search_events

from medarts_ops.cli.main import medarts
from medarts_ops.config import ResolvedObjective, SearchConfig
from medarts_ops.errors import StoreError
from medarts_ops.individual import SearchResult
from medarts_ops.observers import SearchFinished

EVENTS = make_search_events()


class Found(NamedTuple):
    """Has the fields of `tracked.TrackedSearch`, without importing MLflow."""

    result: SearchResult
    run_id: str
    experiment_id: str
    run_ids: dict[str, str]
    waiting: int
    first_objective: ResolvedObjective = ResolvedObjective(name="accuracy", direction="maximize")
    fitted: None = None


class FakeTracked(ModuleType):
    """Stands for `medarts_ops.tracking.search`: tells the events of a ready search."""

    def __init__(self) -> None:
        super().__init__("medarts_ops.tracking.search")
        self.calls: list[dict[str, Any]] = []
        self.waiting = 0
        self.run_ids = {"init-00": "b" * 32, "init-01": "c" * 32}

    def tracked_search(
        self,
        config: SearchConfig,
        *,
        name: str | None,
        tracking_uri: str | None,
        experiment: str | None,
        storage: str | None,
        work_dir: Path,
        pictures: bool,
        system_metrics: bool,
        observers: tuple[Any, ...],
        evaluate: dict[str, Any],
        on_fitted: object,
        began: float,
    ) -> Found:
        places: dict[str, Any] = {
            "uri": tracking_uri,
            "experiment": experiment,
            "storage": storage,
            "work_dir": work_dir,
        }
        told = {"pictures": pictures, "system_metrics": system_metrics, "evaluate": evaluate}
        self.calls.append({"config": config, "name": name, **told, **places})
        if tracking_uri == "http://nobody":
            raise StoreError("can't reach the tracking store http://nobody: is the server up?")
        for event in EVENTS:
            for observer in observers:
                observer.notify(event)
        last = EVENTS[-1]
        assert isinstance(last, SearchFinished)
        result = last.result.model_copy(update={"search_id": name})
        return Found(result, "a" * 32, "1", self.run_ids, self.waiting)


@pytest.fixture
def tracked(monkeypatch: pytest.MonkeyPatch) -> FakeTracked:
    fake = FakeTracked()
    monkeypatch.setitem(sys.modules, fake.__name__, fake)
    for name in ("MEDARTS_TRACKING_URI", "MLFLOW_TRACKING_URI", "OPTUNA_STORAGE", "MEDARTS_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    return fake


def invoke(*words: str, **environment: str) -> Result:
    return CliRunner(env=environment).invoke(medarts, ["search", *words])


def test_without_options_it_searches_digits_in_the_current_folder(tracked: FakeTracked) -> None:
    assert invoke().exit_code == 0
    call = tracked.calls[0]
    assert call["config"].dataset.name == "digits"
    assert (call["uri"], call["storage"], call["work_dir"]) == (None, None, Path("medarts-work"))
    assert not call["system_metrics"]
    assert re.fullmatch(r"search-digits-\d{8}-\d{6}-[0-9a-f]{4}", call["name"])


def test_results_go_to_stdout_and_progress_to_stderr(tracked: FakeTracked) -> None:
    result = invoke()
    assert "init-00 epoch 1/1: accuracy 50.00 %" in result.stderr
    assert "epoch 1/1" not in result.stdout
    assert f"medarts evaluate {'a' * 32}\n" in result.stdout


def test_json_is_all_that_stdout_holds(tracked: FakeTracked) -> None:
    data = json.loads(invoke("--json").stdout)
    assert (data["run_id"], data["best"]["run_id"]) == ("a" * 32, "b" * 32)


def test_options_reach_the_search(tracked: FakeTracked) -> None:
    places = ("--work-dir", "w", "--storage", "sqlite:///o.db", "--experiment", "flowers")
    invoke("--dataset", "cifar10", "--name", "mine", "--seed", "7", *places)
    call = tracked.calls[0]
    assert (call["config"].preset, call["config"].seed) == ("cifar10", 7)
    assert (call["name"], call["storage"], call["work_dir"]) == ("mine", "sqlite:///o.db", Path("w"))
    assert call["experiment"] == "flowers"


def test_our_own_variable_names_the_store_before_mlflows(tracked: FakeTracked) -> None:
    invoke(MEDARTS_TRACKING_URI="sqlite:///ours.db", MLFLOW_TRACKING_URI="sqlite:///theirs.db")
    invoke(MLFLOW_TRACKING_URI="sqlite:///theirs.db", OPTUNA_STORAGE="sqlite:///o.db")
    assert [call["uri"] for call in tracked.calls] == ["sqlite:///ours.db", "sqlite:///theirs.db"]
    assert tracked.calls[1]["storage"] == "sqlite:///o.db"


def test_next_commands_repeat_the_option_but_not_the_variable(tracked: FakeTracked) -> None:
    assert "--tracking-uri sqlite:///x.db" in invoke("--tracking-uri", "sqlite:///x.db").stdout
    assert "--tracking-uri" not in invoke(MEDARTS_TRACKING_URI="sqlite:///x.db").stdout


def test_the_last_line_is_the_link_to_all_individuals_in_the_stores_own_pages(tracked: FakeTracked) -> None:
    local = invoke().stdout.splitlines()
    assert local[-2] == "All individuals in MLflow, once `medarts ui` runs:"
    assert local[-1].startswith("  http://127.0.0.1:5000/#/experiments/1/runs?")
    served = invoke("--name", "search-test", "--tracking-uri", "http://h:5").stdout.splitlines()
    assert served[-2] == "All individuals in MLflow:"
    assert served[-1].startswith("  http://h:5/#/experiments/1/runs?") and "search-test" in served[-1]


def test_what_a_file_says_of_evaluations_is_kept_with_the_search_so_that_the_next_command_needs_no_file(
    tracked: FakeTracked, tmp_path: Path
) -> None:
    file = tmp_path / "small.yaml"
    file.write_text("extends: digits\nevaluate: {epochs: 2}\n", encoding="utf-8")
    assert f"  medarts evaluate {'a' * 32}\n" in invoke("--config", str(file), "--workers", "1").stdout
    invoke()
    assert [call["evaluate"] for call in tracked.calls] == [{"epochs": 2}, {}]


def test_a_file_that_no_evaluation_could_begin_from_is_refused_before_the_search(
    tracked: FakeTracked, tmp_path: Path
) -> None:
    file = tmp_path / "small.yaml"
    file.write_text("extends: digits\nevaluate: {epoch: 2}\n", encoding="utf-8")
    result = invoke("--config", str(file))
    assert result.exit_code != 0 and "did you mean 'epochs'" in result.stderr and not tracked.calls


def test_pictures_can_be_left_out(tracked: FakeTracked) -> None:
    invoke("--no-pictures")
    invoke("--pictures")
    assert [call["pictures"] for call in tracked.calls] == [False, True]


def test_events_that_wait_are_said_with_the_command_that_tells_them(tracked: FakeTracked) -> None:
    tracked.waiting = 3
    result = invoke(
        "--name", "mine", "--work-dir", "my work", "--tracking-uri", "http://h:5", OPTUNA_STORAGE="sqlite:///o.db"
    )
    assert result.exit_code == 0 and "medarts evaluate" in result.stdout
    said = result.stderr.splitlines()[-1]
    assert said.startswith("3 events wait in the work directory")
    assert said.endswith("medarts sync mine --tracking-uri http://h:5 --work-dir 'my work'")


def test_an_individual_that_the_store_does_not_know_has_no_run_id(tracked: FakeTracked) -> None:
    tracked.waiting, tracked.run_ids = 2, {}
    data = json.loads(invoke("--json").stdout)
    assert (data["waiting"], data["best"]["run_id"]) == (2, None)


def test_a_bad_setting_never_starts_a_search(tracked: FakeTracked) -> None:
    result = invoke("--set", "stages.0.cells=2")
    assert (result.exit_code, tracked.calls) == (2, [])


def test_a_store_that_fails_is_one_line_and_exit_code_1(tracked: FakeTracked) -> None:
    result = invoke("--tracking-uri", "http://nobody")
    assert (result.exit_code, result.stdout) == (1, "")
    first, error = result.stderr.splitlines()
    assert first == "reading images of digits"
    assert error == "error: can't reach the tracking store http://nobody: is the server up?"
