"""`medarts evaluate`, with the training itself replaced."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
from class_reports import make_validated_result
from click.testing import CliRunner, Result
from factories import make_evaluation_epoch, make_genotype

from medarts_ops.cli.main import medarts
from medarts_ops.config import EvaluateConfig
from medarts_ops.individual import EvaluationResult
from medarts_ops.observers import EvaluationEpochFinished
from medarts_ops.space.formats import format_darts
from medarts_ops.space.genotype import Genotype
from medarts_ops.space.zoo import zoo_genotype
from medarts_ops.tracking.reading.relations import Evaluated

RECORD = make_evaluation_epoch()


class Trained(NamedTuple):
    """Has the fields of `evaluated.TrackedEvaluation`, without importing MLflow."""

    result: EvaluationResult
    name: str
    run_id: str
    experiment_id: str
    waiting: int
    fitted: None = None


class FakeTracked(ModuleType):
    """Stands for `medarts_ops.tracking.evaluation`: an evaluation of one epoch that is ready at once."""

    def __init__(self) -> None:
        super().__init__("medarts_ops.tracking.evaluation")
        self.calls: list[dict[str, Any]] = []

    def tracked_evaluation(
        self,
        config: EvaluateConfig,
        *,
        run_id: Evaluated | None,
        genotype: Genotype | None,
        name: str,
        tracking_uri: str | None,
        experiment: str | None,
        work_dir: Path,
        pictures: bool,
        system_metrics: bool,
        observers: tuple[Any, ...],
        on_fitted: object,
        began: float,
    ) -> Trained:
        given = None if run_id is None else run_id.run.run_id
        self.calls.append({"config": config, "run_id": given, "genotype": genotype, "system_metrics": system_metrics})
        for observer in observers:
            observer.notify(EvaluationEpochFinished(record=RECORD))
        result = EvaluationResult(
            genotype=genotype or make_genotype(), parameters=123456, history=(RECORD,), seconds=10.0
        )
        return Trained(result, name, "a" * 32, "1", 0)


@pytest.fixture
def tracked(monkeypatch: pytest.MonkeyPatch) -> FakeTracked:
    fake = FakeTracked()
    monkeypatch.setitem(sys.modules, fake.__name__, fake)
    return fake


def invoke(*words: str) -> Result:
    return CliRunner().invoke(medarts, ["evaluate", *words])


def test_a_published_genotype_is_trained_on_the_dataset_that_is_named(tracked: FakeTracked) -> None:
    result = invoke("--genotype", "DARTS_V2", "--dataset", "cifar10")
    call = tracked.calls[0]
    assert (call["run_id"], call["genotype"]) == (None, zoo_genotype("DARTS_V2"))
    assert (call["config"].dataset.name, call["config"].epochs) == ("cifar10", 600)
    assert "test error" in result.stdout
    assert "epoch 1/" in result.stderr


@pytest.mark.parametrize("name", ["mine.json", "mine"])
def test_a_genotype_may_be_a_file(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tracked: FakeTracked
) -> None:
    (tmp_path / name).write_text(format_darts(make_genotype()), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert invoke("--genotype", name, "--preset", "digits").exit_code == 0
    assert tracked.calls[0]["genotype"] == make_genotype()


def test_the_machine_is_measured_only_if_the_option_or_mlflows_own_variable_asks_for_it(
    tracked: FakeTracked, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("--genotype", "DARTS_V2", "--dataset", "digits")
    invoke(*words)
    invoke(*words, "--system-metrics")
    monkeypatch.setenv("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "true")
    invoke(*words)
    assert [call["system_metrics"] for call in tracked.calls] == [False, True, True]


def test_json_is_all_that_stdout_holds(tracked: FakeTracked) -> None:
    data = json.loads(invoke("--genotype", "DARTS_V2", "--dataset", "digits", "--json").stdout)
    assert (data["run_id"], data["test_error"], data["parameters"]) == ("a" * 32, 0.125, 123456)


def test_the_result_names_the_class_that_is_found_worst_and_balanced_accuracy(
    tracked: FakeTracked, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = Trained(make_validated_result(make_genotype()), "e", "a" * 32, "1", 0)
    monkeypatch.setattr(tracked, "tracked_evaluation", lambda *_, **__: trained)
    lines = invoke("--genotype", "DARTS_V2", "--dataset", "digits").stdout.splitlines()
    assert lines[0] == "test error         20.55 % (epoch 2 of 3, chosen by validation images)"
    assert lines[1].startswith("balanced accuracy  70.25 % (")
    assert lines[2] == "class found worst  viral: 53 of 124 found (42.74 %)"
    assert not any(line.startswith("lowest test error") for line in lines)
    data = json.loads(invoke("--genotype", "DARTS_V2", "--dataset", "digits", "--json").stdout)
    assert (data["best_test_error"], data["chosen_epoch"], data["classes"]["confusion"][0]) == (None, 1, [53, 41, 30])


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ([], 2, "give a RUN_ID or --genotype"),
        (["a" * 32, "--genotype", "DARTS_V2"], 2, "one of the two"),
        (["--genotype", "DARTS_V2"], 2, "--genotype needs --dataset"),
        (["--genotype", "DARTS_V9", "--dataset", "digits"], 1, "did you mean 'DARTS_V"),
        (["--genotype", "none.json", "--dataset", "digits"], 1, "can't be read"),
        (["--genotype", "DARTS_V2", "--dataset", "mnist"], 2, "dataset.name: unknown dataset 'mnist'"),
        (["--genotype", "DARTS_V2", "--dataset", "digits", "--set", "cells=2"], 2, "cells: "),
        (["--genotype", "DARTS_V2", "--dataset", "digits", "--set", "patience=2"], 2, "patience is 2 and validation_"),
    ],
)
def test_bad_input_is_one_line_and_trains_nothing(
    words: list[str], code: int, message: str, tracked: FakeTracked
) -> None:
    result = invoke(*words)
    assert (result.exit_code, result.stdout, tracked.calls) == (code, "", [])
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


SKIPS = '[["skip_connect", 0], ["skip_connect", 1]]'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f'{{"normal": [["none", 0], ["skip_connect", 1]], "reduce": {SKIPS}}}', "none"),
        (f'{{"normal": [["conv", 0], ["skip_connect", 1]], "reduce": {SKIPS}}}', "unknown operation 'conv'"),
        (f'{{"normal": [["skip_connect", 7], ["skip_connect", 1]], "reduce": {SKIPS}}}', "input 7 is impossible"),
        ("__import__('os').system('true')", "allowed is"),
    ],
)
def test_an_impossible_genotype_is_one_line(text: str, message: str, tmp_path: Path, tracked: FakeTracked) -> None:
    file = tmp_path / "bad.json"
    file.write_text(text, encoding="utf-8")
    result = invoke("--genotype", str(file), "--dataset", "digits")
    assert (result.exit_code, tracked.calls) == (1, [])
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_run_brings_preset_and_dataset_of_its_search(stored: Any, tracked: FakeTracked) -> None:
    result = invoke(stored.run_ids["final-01"], "--tracking-uri", stored.uri, "--set", "epochs=2")
    assert result.exit_code == 0
    call = tracked.calls[0]
    assert (call["run_id"], call["genotype"]) == (stored.run_ids["final-01"], None)
    assert (call["config"].preset, call["config"].dataset.name, call["config"].epochs) == ("digits", "digits", 2)


def test_what_a_search_keeps_of_evaluations_is_where_that_of_its_part_begins(
    stored: Any, tracked: FakeTracked, tmp_path: Path
) -> None:
    from mlflow import MlflowClient

    uri = f"sqlite:///{shutil.copy(stored.uri.removeprefix('sqlite:///'), tmp_path)}"
    kept = '{"epochs": 7, "batch": 48}'
    MlflowClient(tracking_uri=uri).set_tag(stored.run_ids["search"], "medarts.evaluate_settings", kept)
    invoke("search-told/final-01", "--tracking-uri", uri, "--set", "batch=32")
    (call,) = tracked.calls
    assert call["run_id"] == stored.run_ids["final-01"]
    assert (call["config"].epochs, call["config"].batch) == (7, 32)
    shown = CliRunner().invoke(medarts, ["show", "search-told", "--tracking-uri", uri]).stdout
    assert ["evaluations", "epochs=7", "batch=48"] in [line.split() for line in shown.splitlines()]


def test_a_run_may_be_evaluated_on_another_dataset(stored: Any, tracked: FakeTracked) -> None:
    invoke("search-told", "--tracking-uri", stored.uri, "--dataset", "cifar100")
    assert tracked.calls[0]["config"].preset == "cifar100"


def test_an_evaluation_can_not_be_evaluated(stored: Any, tracked: FakeTracked) -> None:
    result = invoke(stored.run_ids["evaluation"], "--tracking-uri", stored.uri)
    assert (result.exit_code, tracked.calls) == (1, [])
    assert "of kind evaluation: allowed are search, stage and individual" in result.stderr


def test_a_run_that_is_not_there_is_one_line(stored: Any, tracked: FakeTracked) -> None:
    result = invoke("f" * 32, "--tracking-uri", stored.uri)
    first, error = result.stderr.splitlines()
    assert (result.exit_code, first, tracked.calls) == (1, f"looking for {'f' * 32}", [])
    assert error.startswith("error: ")
