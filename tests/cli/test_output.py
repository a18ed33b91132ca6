"""Results on stdout."""

from __future__ import annotations

import io
import json
from typing import NamedTuple

import pytest
from factories import (
    make_failed,
    make_genotype,
    make_individual,
    make_pruned,
    make_ranked,
    make_stage_result,
    make_trained,
)
from rich.console import Console
from rich.tree import Tree

from medarts_ops.cli.output import (
    command_line,
    print_csv,
    print_facts,
    print_search,
    print_table,
    print_tree,
    results_console,
    search_json,
    table,
)
from medarts_ops.individual import EvaluatedIndividual, RankedIndividual, SearchResult, StageResult

RUN_ID = "0123456789abcdef0123456789abcdef"


class Found(NamedTuple):
    """Has the fields of `tracked.TrackedSearch`, without importing MLflow."""

    result: SearchResult
    run_id: str
    experiment_id: str
    run_ids: dict[str, str]
    waiting: int = 0


def found() -> Found:
    child = make_individual(3, 1, "mid", origin="crossover", parents=("init-00", "init-01"))
    objectives = {"accuracy": 0.9, "params": 3349342.0}
    evaluated = EvaluatedIndividual(trained=make_trained(child, valid_accuracy=0.9), objectives=objectives)
    best = RankedIndividual(evaluated=evaluated, front=0, crowding_distance=float("inf"))
    ranked = (make_ranked(0, 0.8, 2e6), make_ranked(1, 0.7, 1e6, front=1, crowding_distance=0.5))
    first = make_stage_result(ranked, (make_failed(2),))
    second = StageResult(index=1, name="mid", ranked=(best,), failed=(), seconds=4500.0)
    result = SearchResult(search_id="s", stages=(first, second))
    return Found(result, RUN_ID, "1", {name: f"run of {name}" for name in ("init-00", "init-01", "mid-03")})


def printed(
    width: int, terminal: bool = False, tracking_uri: str | None = None, result: SearchResult | None = None
) -> str:
    written = io.StringIO()
    console = Console(
        file=written, width=width, force_terminal=terminal, no_color=True, markup=False, highlight=False, soft_wrap=True
    )
    shown = found() if result is None else found()._replace(result=result)
    print_search(console, shown, tracking_uri)  # type: ignore[arg-type]
    return written.getvalue()


def test_each_stage_has_its_pareto_table() -> None:
    lines = [line.split() for line in printed(80).splitlines()]
    assert "individual origin parents accuracy params front crowding skips".split() in lines
    assert "init-00 random - 80.00 % 2.00 M 0 ∞ 0/0".split() in lines
    assert "init-01 random - 70.00 % 1.00 M 1 0.500 0/0".split() in lines
    assert "mid-03 crossover init-00 init-01 90.00 % 3.35 M 0 ∞ 0/0".split() in lines
    assert "init-02 failed: loss is NaN".split() in lines


def with_pruned() -> SearchResult:
    result = found().result
    first = result.stages[0].model_copy(update={"pruned": (make_pruned(4),)})
    return result.model_copy(update={"stages": (first, *result.stages[1:])})


def test_who_was_pruned_stands_below_the_table_and_in_json() -> None:
    text = printed(80, result=with_pruned())
    assert "Stage init: 2 ranked, 1 pruned, 1 failed; front 0 is the Pareto front" in text
    assert "init-04 pruned: on front 1 of its population after 1 epoch" in text
    assert "pruned" not in printed(80)
    data = search_json(found()._replace(result=with_pruned()))  # type: ignore[arg-type]
    objectives = {"accuracy": 0.4, "params": 1e6}
    said = {"individual": "init-04", "run_id": None, "epochs": 1, "front": 1, "objectives": objectives}
    assert [stage["pruned"] for stage in data["stages"]] == [[said], []]


def with_skips() -> SearchResult:
    """The same search, whose result has eight skip-connections in its normal cell, and set two aside."""
    result = found().result
    update = {"genotype": make_genotype("skip_connect"), "skips_set_aside": ((0, 2), (1, 4))}
    trained = result.best.trained.model_copy(update=update)
    evaluated = result.best.evaluated.model_copy(update={"trained": trained})
    best = result.best.model_copy(update={"evaluated": evaluated})
    last = result.stages[1].model_copy(update={"ranked": (best,)})
    return result.model_copy(update={"stages": (result.stages[0], last)})


def test_a_cell_of_skip_connections_is_warned_of() -> None:
    assert "Warning" not in printed(80)
    (warning,) = [line for line in printed(80, result=with_skips()).splitlines() if line.startswith("Warning: ")]
    assert "8 skip-connections" in warning and "max_skips=2" in warning
    data = search_json(found()._replace(result=with_skips()))  # type: ignore[arg-type]
    assert data["collapse_warning"] == warning.removeprefix("Warning: ")
    assert data["best"]["skips_set_aside"] == ((0, 2), (1, 4))
    assert search_json(found())["collapse_warning"] is None  # type: ignore[arg-type]


def test_nothing_is_cut_at_80_columns() -> None:
    text = printed(80, terminal=True)
    assert "…" not in text
    assert f"medarts evaluate {RUN_ID}\n" in text
    assert "init-00 init-01" in text


def test_no_name_or_number_is_torn_on_a_narrow_terminal() -> None:
    rows = [line.split() for line in printed(40, terminal=True).splitlines()]
    assert "init-00 random - 80.00 % 2.00 M 0 ∞ 0/0".split() in rows
    assert ["run", "id", RUN_ID] in rows


def test_a_line_of_the_lineage_is_never_cut() -> None:
    written = io.StringIO()
    print_tree(Console(file=written, width=20), Tree(f"final-00 (crossover), accuracy 95.00 %, {RUN_ID}"))
    assert written.getvalue().rstrip().endswith(RUN_ID)


def test_a_genotype_is_one_line_to_copy() -> None:
    assert any(line.startswith("Genotype(normal=[") and line.endswith(")") for line in printed(80).splitlines())


def test_cost_is_a_time_for_each_stage_and_in_all() -> None:
    assert "1 h 15 min: init 9 s, mid 1 h 15 min" in printed(1000)


def test_a_cost_of_hours_is_in_the_papers_days_too() -> None:
    result = SearchResult(search_id="s", stages=tuple(_longer(stage) for stage in found().result.stages))
    assert "13 h 2 min (0.54 days): init" in printed(1000, result=result)


def _longer(stage: StageResult) -> StageResult:
    return stage.model_copy(update={"seconds": 23_450.0})


def test_exact_parameters_and_run_id_are_there() -> None:
    facts = [line.split() for line in printed(80).splitlines()]
    assert ["params", "3,349,342"] in facts
    assert ["run", "id", RUN_ID] in facts


def test_next_commands_name_a_store_that_was_given_as_an_option() -> None:
    assert "--tracking-uri" not in printed(80)
    assert f"medarts evaluate {RUN_ID} --tracking-uri sqlite:///x.db\n" in printed(80, tracking_uri="sqlite:///x.db")


def test_a_command_is_quoted_for_the_shell() -> None:
    assert command_line("show", "a b") == "medarts show 'a b'"


def test_json_is_strict_and_names_every_run() -> None:
    data = json.loads(json.dumps(search_json(found()), allow_nan=False))  # type: ignore[arg-type]
    assert data["run_id"] == RUN_ID
    assert data["best"]["run_id"] == "run of mid-03"
    assert data["best"]["objectives"] == {"accuracy": 0.9, "params": 3349342.0}
    assert data["best"]["crowding_distance"] == "Infinity"
    assert data["stages"][0]["ranked"][1]["crowding_distance"] == 0.5
    assert data["stages"][0]["failed"] == [{"individual": "init-02", "reason": "loss is NaN", "epoch": 0}]


def test_csv_runs_no_formula_and_keeps_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    row = {"=name": "=cmd|' /C calc'!A0", "text": "@sum(1)", "number": "-1e-3", "negative": -2, "minus": "-x"}
    print_csv([row], list(row))
    assert capsys.readouterr().out == "'=name,text,number,negative,minus\n'=cmd|' /C calc'!A0,'@sum(1),-1e-3,-2,'-x\n"


def test_a_cell_of_a_table_a_label_and_a_fact_are_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "cat\x1b[2J\r\n[red]dog[/red] :bomb:"
    made = table("class")
    made.add_row(hostile)
    tree = Tree("root")
    tree.add(hostile)
    print_table(results_console(), made)
    print_tree(results_console(), tree)
    print_facts(results_console(), [("class", hostile)])
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == 5 and sum(r"cat\x1b[2J\r\n[red]dog[/red] :bomb:" in line for line in shown) == 3


def test_a_whole_number_stays_one_in_csv_whatever_else_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    print_csv([{"n": 3, "x": 0.5}, {"n": None, "x": 1}, {}], ["n", "x"])
    assert capsys.readouterr().out == "n,x\n3,0.5\n,1\n,\n"
