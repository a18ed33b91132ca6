"""`medarts runs` and `medarts show` on a real store."""

from __future__ import annotations

import csv
import io
import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
from class_reports import make_class_report
from click.testing import CliRunner, Result
from factories import make_evaluation_events, make_genotype, make_pruned_events, make_search_events
from journals import write_journal

from medarts_ops.cli.main import medarts
from medarts_ops.cli.output import print_tree, results_console
from medarts_ops.cli.show import DEEPEST_GENERATION, lineage_tree
from medarts_ops.cli.show_parts import print_individuals, print_runs
from medarts_ops.journal.lock import job_lock
from medarts_ops.space.formats import parse_genotype
from medarts_ops.space.genotype import Genotype
from medarts_ops.tracking.runs.search_runs import MlflowSearchObserver
from medarts_ops.tracking.stores.opening import open_store
from medarts_ops.tracking.stores.run_store import RunStore


def invoke(stored: Any, *words: str) -> Result:
    return CliRunner().invoke(medarts, [*words, "--tracking-uri", stored.uri])


def shown(stored: Any, name: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(invoke(stored, "show", stored.run_ids[name], "--json").stdout)
    return data


def test_runs_says_what_came_of_a_search(stored: Any) -> None:
    lines = invoke(stored, "runs").stdout.splitlines()
    assert lines[0] == f"{stored.run_ids['search']}  search-told"
    assert lines[1].endswith("UTC, digits, FINISHED")
    assert lines[2] == "  accuracy 95.00 %, params 4.00 M, 1 h 15 min, test error 12.50 % (1 evaluated)"
    assert max(map(len, lines)) <= 80


def test_runs_lists_evaluations_that_belong_to_no_search_below(here: Path) -> None:
    from medarts_ops.tracking.stores.opening import open_store

    store = open_store(f"sqlite:///{here}/mlflow.db")
    run_id = store.create_run(
        experiment_id=store.experiment_id(),
        kind="evaluation",
        name="published",
        tags={"medarts.dataset": "digits"},
        params={},
    )
    store.log_metrics(run_id, {"test_error": 0.025})
    lines = CliRunner().invoke(medarts, ["runs"]).stdout.splitlines()
    assert lines[:3] == ["no searches yet: `medarts search` starts one", "", "Evaluations of given genotypes"]
    assert lines[3] == f"{run_id}  published" and lines[4].endswith("UTC, digits, RUNNING, test error 2.50 %")


def test_runs_as_json(stored: Any) -> None:
    (row,) = json.loads(invoke(stored, "runs", "--json").stdout)
    assert (row["run_id"], row["best_run_id"]) == (stored.run_ids["search"], stored.run_ids["final-02"])
    assert (row["objectives"], row["test_errors"]) == ({"accuracy": 0.95, "params": 4e6}, [0.125])


def csv_rows(result: Result) -> list[dict[str, str]]:
    assert (result.exit_code, result.stderr) == (0, "")
    return list(csv.DictReader(io.StringIO(result.stdout)))


def test_runs_as_csv_is_a_row_for_each_search(stored: Any) -> None:
    (row,) = csv_rows(invoke(stored, "runs", "--csv"))
    assert (row["run_id"], row["name"], row["status"]) == (stored.run_ids["search"], "search-told", "FINISHED")
    assert (row["dataset"], row["preset"], row["seed"]) == ("digits", "digits", "0")
    assert row["best_run_id"] == stored.run_ids["final-02"]
    assert (row["objectives.accuracy"], row["objectives.params"]) == ("0.95", "4000000.0")
    assert (float(row["hours"]), row["evaluations"], row["lowest_test_error"]) == (1.25, "1", "0.125")


def test_csv_lists_all_searches_unless_a_limit_is_given(here: Path) -> None:
    from medarts_ops.tracking.stores.opening import open_store

    uri = f"sqlite:///{here}/mlflow.db"
    store = open_store(uri)
    experiment = store.experiment_id()
    for number in range(22):
        store.create_run(experiment_id=experiment, kind="search", name=f"s{number}", tags={}, params={"seed": number})
    listed = CliRunner().invoke(medarts, ["runs", "--csv", "--tracking-uri", uri])
    assert {row["seed"] for row in csv_rows(listed)} == set(map(str, range(22)))
    limited = CliRunner().invoke(medarts, ["runs", "--csv", "--limit", "3", "--tracking-uri", uri])
    assert len(csv_rows(limited)) == 3
    assert len(json.loads(CliRunner().invoke(medarts, ["runs", "--json", "--tracking-uri", uri]).stdout)) == 20


def test_an_empty_store_as_csv_is_its_header(here: Path) -> None:
    result = CliRunner().invoke(medarts, ["runs", "--csv", "--tracking-uri", f"sqlite:///{here}/mlflow.db"])
    assert csv_rows(result) == [] and result.stdout.startswith("run_id,name,status,")


def test_csv_and_json_at_once_are_refused(stored: Any) -> None:
    result = invoke(stored, "runs", "--csv", "--json")
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert "exclude each other" in result.stderr


def test_an_empty_store_says_how_to_begin(stored: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medarts_ops.tracking.stores.run_store.RunStore.all_of_kind", lambda *_: [])
    assert "`medarts search` starts one" in invoke(stored, "runs").stdout


def test_a_search_is_shown_with_stages_evaluations_lineage_and_genotype(stored: Any) -> None:
    output = invoke(stored, "show", "search-told").stdout
    for heading in ("Stages", "Evaluations", "Lineage, ", "Genotype"):
        assert f"\n{heading}" in output
    assert f"{stored.run_ids['stage/0']}  stage-init, FINISHED, best accuracy 90.00 %, 9 s" in output
    assert "test error 12.50 %" in output
    genotype = next(line for line in output.splitlines() if line.startswith("Genotype("))
    assert isinstance(parse_genotype(genotype), Genotype)
    assert f"medarts evaluate {stored.run_ids['search']} --tracking-uri {stored.uri}" in output


def test_show_warns_of_a_cell_of_skip_connections(stored: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(stored, "search")["collapse_warning"] is None
    collapsed = make_genotype("skip_connect")
    monkeypatch.setattr("medarts_ops.tracking.reading.contents.genotype_of", lambda *_: collapsed)
    warning = shown(stored, "search")["collapse_warning"]
    assert "8 skip-connections" in warning
    assert f"Warning: {warning}" in invoke(stored, "show", "search-told").stdout.splitlines()


def test_the_lineage_is_a_tree_back_to_random_ancestors(stored: Any) -> None:
    lines = invoke(stored, "show", stored.run_ids["final-02"]).stdout.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("final-02 (crossover)"))
    assert lines[start].endswith(stored.run_ids["final-02"])
    assert lines[start + 1].startswith("├── init-00 (random), accuracy 90.00 %, params 2.00 M")
    assert lines[start + 2].startswith("└── init-01 (random), accuracy 80.00 %, params 3.00 M")


def test_lineage_as_json_holds_the_genetic_parents_in_order(stored: Any) -> None:
    lineage = shown(stored, "search")["lineage"]
    assert [row["name"] for row in lineage] == ["final-02", "init-00", "init-01"]
    assert lineage[0]["parents"] == [stored.run_ids["init-00"], stored.run_ids["init-01"]]
    assert lineage[1]["parents"] == []


@pytest.mark.parametrize(
    ("name", "individual"),
    [("search", "final-02"), ("stage/0", "init-00"), ("final-01", "final-01"), ("evaluation", "final-02")],
)
def test_every_kind_of_run_stands_for_an_individual(name: str, individual: str, stored: Any) -> None:
    data = shown(stored, name)
    assert data["lineage"][0]["name"] == individual
    assert data["search_run_id"] == stored.run_ids["search"]
    assert Genotype.model_validate(data["genotype"])


def test_an_evaluation_is_shown_with_its_error_and_parameters(stored: Any) -> None:
    facts = [line.split() for line in invoke(stored, "show", stored.run_ids["evaluation"]).stdout.splitlines()]
    assert ["test", "error", "12.50", "%"] in facts
    assert ["parameters", "123,456"] in facts


def test_an_individual_is_shown_with_its_hyperparameters_and_a_search_has_none(stored: Any) -> None:
    facts = [line.split() for line in invoke(stored, "show", stored.run_ids["init-00"]).stdout.splitlines()]
    assert ["alpha_lr", "0.0003"] in facts and ["weights_lr", "0.025"] in facts
    assert shown(stored, "search")["hyperparameters"] == {}


def test_a_failed_individual_is_shown_with_its_reason(stored: Any) -> None:
    data = shown(stored, "init-02")
    assert (data["status"], data["failure"], data["genotype"]) == ("FAILED", "loss is NaN", None)
    output = invoke(stored, "show", stored.run_ids["init-02"]).stdout
    assert "loss is NaN" in output
    assert "Next:" not in output


def test_a_run_that_is_not_there_is_one_line(stored: Any) -> None:
    result = invoke(stored, "show", "search-tolled")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "did you mean 'search-told'?" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("uri", ["file:./mlruns", "mlruns", "ftp://host"])
def test_a_store_of_the_wrong_kind_is_a_usage_error_and_makes_nothing(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(medarts, ["runs", "--tracking-uri", uri])
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "sqlite:///" in result.stderr
    assert not list(tmp_path.iterdir())


@pytest.fixture
def spoilt(stored: Any, tmp_path: Path) -> Any:
    """The same store, in which somebody else has logged what is no number."""
    from mlflow import MlflowClient

    copied = stored._replace(uri=f"sqlite:///{shutil.copy(stored.uri.removeprefix('sqlite:///'), tmp_path)}")
    client = MlflowClient(tracking_uri=copied.uri)
    for name, metrics in {
        "search": {"hours": math.nan, "loss": math.inf, "accuracy": math.nan, "params": math.inf},
        "final-02": {"accuracy": math.nan, "params": math.inf, "front": math.nan},
        "stage/0": {"hours": -math.inf, "best_accuracy": math.nan},
        "evaluation": {"test_error": math.nan, "params": math.nan},
    }.items():
        for key, value in metrics.items():
            client.log_metric(stored.run_ids[name], key, value, step=1000)
    return copied


def strict_json(text: str) -> Any:
    """As a browser or jq reads it."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize("name", ["search", "final-02", "evaluation"])
def test_a_run_with_nan_is_shown_as_valid_json(spoilt: Any, name: str) -> None:
    data = strict_json(invoke(spoilt, "show", spoilt.run_ids[name], "--json").stdout)
    assert data["lineage"][0]["objectives"] == {"accuracy": None, "params": None}
    assert data["lineage"][0]["front"] is None and data["lineage"][1]["front"] == 0
    if name == "search":
        assert (data["metrics"]["hours"], data["metrics"]["loss"]) == (None, None)
        assert data["stages"][0]["metrics"]["hours"] is None
        assert data["evaluations"][0]["metrics"]["test_error"] is None


def test_searches_with_nan_are_listed_as_valid_json(spoilt: Any) -> None:
    (row,) = strict_json(invoke(spoilt, "runs", "--json").stdout)
    assert row["objectives"] == {"accuracy": None, "params": None}
    assert (row["hours"], row["test_errors"]) == (None, [None])


@pytest.mark.parametrize("name", ["search", "final-02", "stage/0", "evaluation"])
def test_a_run_with_nan_is_shown_as_text(spoilt: Any, name: str) -> None:
    result = invoke(spoilt, "show", spoilt.run_ids[name])
    assert result.exit_code == 0, result.stderr
    assert "nan" in result.stdout and "1797693" not in result.stdout


def test_searches_with_nan_are_listed_as_text(spoilt: Any) -> None:
    assert "accuracy nan, params inf, unknown time, test error nan %" in invoke(spoilt, "runs").stdout


def a_row(number: int, *parents: int) -> dict[str, Any]:
    named = [f"run-{parent}" for parent in parents]
    return {"run_id": f"run-{number}", "name": str(number), "origin": "inherited", "parents": named, "objectives": {}}


def drawn(lineage: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> list[str]:
    print_tree(results_console(), lineage_tree(lineage))
    return capsys.readouterr().out.splitlines()


def test_a_lineage_of_3000_ancestors_is_drawn_as_far_as_it_can_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    chain = [a_row(number, number + 1) for number in range(3000)]
    lines = drawn([*chain, a_row(3000)], capsys)
    assert len(lines) == DEEPEST_GENERATION + 2
    assert lines[-2].endswith(f"{DEEPEST_GENERATION} (inherited), run-{DEEPEST_GENERATION}")
    assert lines[-1].endswith("and so on: --json lists them all")


def test_a_lineage_that_ends_where_drawing_ends_is_drawn_whole(capsys: pytest.CaptureFixture[str]) -> None:
    chain = [a_row(number, number + 1) for number in range(DEEPEST_GENERATION)]
    lines = drawn([*chain, a_row(DEEPEST_GENERATION)], capsys)
    assert len(lines) == DEEPEST_GENERATION + 1 and "and so on" not in lines[-1]


def test_a_lineage_in_a_circle_is_drawn_once(capsys: pytest.CaptureFixture[str]) -> None:
    lines = drawn([a_row(0, 1, 0), a_row(1, 2), a_row(2, 0)], capsys)
    assert [line.lstrip("│├└─ ") for line in lines] == [
        "0 (inherited), run-0",
        "1 (inherited), run-1",
        "2 (inherited), run-2",
        "0 (inherited), run-0 (as above)",
        "0 (inherited), run-0 (as above)",
    ]


def test_an_evaluation_is_shown_class_by_class_with_its_surest_mistakes(here: Path) -> None:
    from medarts_ops.tracking.runs.evaluation_runs import MlflowEvaluationObserver
    from medarts_ops.tracking.stores.opening import open_store

    evaluation = MlflowEvaluationObserver(open_store(f"sqlite:///{here}/mlflow.db"), "xray", parent_run_id=None)
    started, epoch, finished = make_evaluation_events()
    result = finished.result.model_copy(update={"classes": make_class_report()})
    for event in (started, epoch, finished.model_copy(update={"result": result})):
        evaluation.notify(event)
    lines = CliRunner().invoke(medarts, ["show", evaluation.run_id]).stdout.splitlines()
    assert "class found worst  viral: 53 of 124 found (42.74 %)" in lines
    assert any(line.startswith("balanced accuracy  70.25 % (") for line in lines)
    place = lines.index("Classes")
    assert lines[place + 2].split() == [
        "viral",
        "124",
        "53",
        "42.74",
        "%",
        "63.86",
        "%",
        "51.21",
        "%",
        *("bacterial", "(41)"),
    ]
    assert "  viral/17.png: viral taken for bacterial, 98.00 % sure" in lines
    data = json.loads(CliRunner().invoke(medarts, ["show", evaluation.run_id, "--json"]).stdout)
    assert data["classes"]["confusion"][0] == [53, 41, 30] and data["classes"]["mistakes"][0]["png"] is None


def test_the_error_of_an_evaluation_that_has_not_ended_is_told_as_such(here: Path) -> None:
    from medarts_ops.tracking.runs.evaluation_runs import MlflowEvaluationObserver

    evaluation = MlflowEvaluationObserver(open_store(f"sqlite:///{here}/mlflow.db"), "xray", parent_run_id=None)
    for event in make_evaluation_events()[:2]:
        evaluation.notify(event)
    lines = CliRunner().invoke(medarts, ["show", evaluation.run_id]).stdout.splitlines()
    (told,) = (line for line in lines if line.startswith("test error"))
    assert told.endswith("% (so far: the training has not ended)")


def test_a_search_lists_its_individuals_from_best_to_worst(stored: Any) -> None:
    lines = [line.split() for line in invoke(stored, "show", "search-told").stdout.splitlines()]
    assert ["individual", "origin", "accuracy", "params", "front"] in lines
    assert ["init-00", "random", "90.00", "%", "2.00", "M", "0", "survivor"] in lines
    assert ["init-02", "random", "-", "-", "-", "failed"] in lines
    assert ["final-02", "crossover", "95.00", "%", "4.00", "M", "0", "found"] in lines
    rows = shown(stored, "search")["individuals"]
    assert [row["name"] for row in rows] == ["init-00", "init-01", "init-02", "final-02", "final-00", "final-01"]
    assert [row["name"] for row in rows if row["chosen"]] == ["final-02"]
    assert {row["name"] for row in rows if row["survivor"]} == {"init-00", "init-01"}


def test_a_pruned_individual_is_listed_as_such_and_says_why_it_has_no_genotype(here: Path) -> None:
    observer = MlflowSearchObserver(open_store(f"sqlite:///{here / 'mlflow.db'}"))
    for event in make_pruned_events():
        observer.notify(event)
    lines = [line.split() for line in CliRunner().invoke(medarts, ["show", "search-test"]).stdout.splitlines()]
    assert ["init-03", "random", "40.00", "%", "1.00", "M", "-", "pruned"] in lines
    alone = CliRunner().invoke(medarts, ["show", "search-test/init-03"]).stdout
    assert "on front 1 of its population after 1 epoch" in alone and "KILLED" in alone
    refused = CliRunner().invoke(medarts, ["evaluate", "search-test/init-03"])
    assert refused.exit_code == 1 and "has no genotype: it is pruned; allowed are finished" in refused.stderr


def test_of_a_large_stage_the_best_are_listed_and_the_rest_counted(capsys: pytest.CaptureFixture[str]) -> None:
    row = {"stage": "init", "status": "FINISHED", "origin": "random", "front": 0, "survivor": False, "chosen": False}
    row["pruned"] = False
    rows = [{**row, "name": f"init-{number:02}", "objectives": {}} for number in range(12)]
    print_individuals(results_console(), rows, 10)
    output = capsys.readouterr().out
    assert "init-09" in output and "init-10" not in output
    assert output.splitlines()[-1].startswith("and 2 more of stage init: `medarts show SEARCH/stage-init` lists more")


@pytest.mark.parametrize("verb", ["show", "compare"])
def test_a_part_is_named_below_its_search(stored: Any, verb: str) -> None:
    parts = ["search-told/final-02", f"{stored.run_ids['search']}/init-00"][: 1 if verb == "show" else 2]
    by_id = [stored.run_ids["final-02"], stored.run_ids["init-00"]][: len(parts)]
    assert invoke(stored, verb, *parts, "--json").stdout == invoke(stored, verb, *by_id, "--json").stdout != ""


def test_a_stage_is_named_below_its_search_and_lists_its_individuals(stored: Any) -> None:
    data = json.loads(invoke(stored, "show", "search-told/stage-init", "--json").stdout)
    assert data["run_id"] == stored.run_ids["stage/0"]
    assert [row["name"] for row in data["individuals"]] == ["init-00", "init-01", "init-02"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("search-told/init-0", "no part 'init-0': allowed are stage-init, init-00, init-01"),
        ("search-told/int-02", "did you mean 'search-told/init-02'?"),
        ("search-tolled/init-02", "did you mean 'search-told'?"),
        ("evaluate-test/init-02", "evaluation 'evaluate-test' has no part"),
    ],
)
def test_a_part_that_is_not_there_is_one_line_with_the_near_miss(stored: Any, given: str, said: str) -> None:
    result = invoke(stored, "show", given)
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (1, "", 1)
    assert said in result.stderr


def test_the_beginning_of_a_run_id_is_enough_where_it_is_one_run_alone(
    stored: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = stored.run_ids["init-00"]
    assert json.loads(invoke(stored, "show", run_id[:12], "--json").stdout)["run_id"] == run_id
    assert "no run" in invoke(stored, "show", run_id[:7]).stderr
    matching = RunStore.matching
    twice = [run for run in open_store(stored.uri).all_of_kind("individual")][:2]
    monkeypatch.setattr(
        RunStore,
        "matching",
        lambda store, *given, **more: twice if "LIKE" in given[0] else matching(store, *given, **more),
    )
    result = invoke(stored, "show", "0123abcd")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "2 run ids begin with '0123abcd'" in result.stderr and twice[1].run_id in result.stderr


def stopped(stored: Any, tmp_path: Path, status: str) -> str:
    """The address of a copy of the store in which the search ended so."""
    from mlflow import MlflowClient

    uri = f"sqlite:///{shutil.copy(stored.uri.removeprefix('sqlite:///'), tmp_path)}"
    MlflowClient(tracking_uri=uri).update_run(stored.run_ids["search"], status)
    return uri


@pytest.mark.parametrize("status", ["FAILED", "KILLED"])
@pytest.mark.parametrize("name", ["search-told", "search-told/init-02"])
def test_a_search_that_ended_too_early_names_the_line_that_resumes_it(
    stored: Any, tmp_path: Path, status: str, name: str
) -> None:
    uri = stopped(stored, tmp_path, status)
    result = CliRunner().invoke(medarts, ["show", name, "--tracking-uri", uri, "--work-dir", "my work"])
    assert f"  medarts resume search-told --tracking-uri {uri} --work-dir 'my work'" in result.stdout.splitlines()


def test_a_search_that_was_killed_while_it_said_to_be_at_work_is_told_by_its_lock(stored: Any, tmp_path: Path) -> None:
    uri, work_dir = stopped(stored, tmp_path, "RUNNING"), tmp_path / "work"
    write_journal(work_dir, "search-told", make_search_events("search-told")[:3])
    words = ["show", "search-told", "--tracking-uri", uri, "--work-dir", str(work_dir)]
    assert "no process works on it" in CliRunner().invoke(medarts, words).stdout
    with job_lock(work_dir / "search-told"):
        at_work = CliRunner().invoke(medarts, words).stdout
    assert "medarts resume" not in at_work and "no process" not in at_work


def test_the_line_of_a_stage_names_the_objective_that_chose_its_best(capsys: pytest.CaptureFixture[str]) -> None:
    metrics = {"best_accuracy": 0.5, "derived_accuracy": 0.625}
    row = {"run_id": "1", "name": "stage-init", "kind": "stage", "status": "FINISHED", "metrics": metrics}
    print_runs(results_console(), [{**row, "warnings": ["at chance"]}], "derived_accuracy")
    assert capsys.readouterr().out.splitlines() == [
        "  1  stage-init, FINISHED, best derived_accuracy 62.50 %",
        "    Warning: at chance",
    ]
