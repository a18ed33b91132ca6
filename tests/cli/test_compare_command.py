"""`medarts compare` on a real store."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import pytest
from factories import make_search_events
from refusals import invoke
from rich.console import Console

from medarts_ops.cli.compare import print_comparison, run_letter
from medarts_ops.observers import SearchStarted

SEARCHES = 12


class Compared(NamedTuple):
    """A store of twelve searches and the run ids of them, in the order of their names `search-0` to `search-11`."""

    uri: str
    ids: tuple[str, ...]


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory, template_database: Path) -> Compared:
    """Each search has a seed of its own, and every third another share of images held out."""
    from medarts_ops.tracking.runs.search_runs import MlflowSearchObserver
    from medarts_ops.tracking.stores.opening import open_store

    file = shutil.copy(template_database, tmp_path_factory.mktemp("compared"))
    uri, ids = f"sqlite:///{Path(file).as_posix()}", []
    store = open_store(uri)
    for number in range(SEARCHES):
        started, *others = make_search_events(f"search-{number}")
        assert isinstance(started, SearchStarted)
        change = {"seed": number, "holdout_share": 0.25 if number % 3 else 0.5}
        config = started.config.model_copy(update=change)
        observer = MlflowSearchObserver(store)
        for event in (started.model_copy(update={"config": config}), *others):
            observer.notify(event)
        ids.append(observer.run_id)
    return Compared(uri, tuple(ids))


def told(compared: Compared, *words: str) -> str:
    result = invoke("compare", *words, "--tracking-uri", compared.uri)
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


def on_terminal(compared: Compared, width: int, *names: str) -> list[str]:
    from medarts_ops.tracking.reading.comparison import compare_runs
    from medarts_ops.tracking.stores.opening import open_store

    written = io.StringIO()
    console = Console(
        file=written, width=width, force_terminal=True, no_color=True, markup=False, highlight=False, soft_wrap=True
    )
    print_comparison(console, compare_runs(open_store(compared.uri), names))
    return [line.rstrip() for line in written.getvalue().splitlines()]


def test_settings_come_first_then_results_cost_genotypes_and_the_link(compared: Compared) -> None:
    output = told(compared, "search-0", compared.ids[1])
    headings = [line for line in output.splitlines() if line and not line.startswith((" ", "A ", "B "))]
    assert headings[0].startswith("Settings that differ (") and headings[0].endswith(" settings the same)")
    rows = [line.split() for line in output.splitlines()]
    assert ["seed", "0", "1"] in rows and ["holdout_share", "0.5", "0.25"] in rows
    assert ["accuracy", "90.00", "%", "90.00", "%"] in rows and ["params", "2,000,000", "2,000,000"] in rows
    assert ["hours", "0.0025", "0.0025"] in rows
    order = ["Settings that", "Results", "Search cost", "Genotypes: no difference, 16 edges the same", "Side by side"]
    places = [output.index(heading) for heading in order]
    assert places == sorted(places)


def test_each_run_has_a_letter_with_its_id_name_and_status(compared: Compared) -> None:
    first, second, *_ = told(compared, "search-3", "search-2").splitlines()
    assert first.startswith(f"A  {compared.ids[3]}  search-3, FINISHED, ")
    assert second.startswith(f"B  {compared.ids[2]}  search-2, FINISHED, ")


def test_genotypes_are_compared_edge_by_edge(stored: Any) -> None:
    words = (stored.run_ids["final-02"], stored.run_ids["final-01"])
    result = invoke("compare", *words, "--tracking-uri", stored.uri)
    data = json.loads(invoke("compare", *words, "--tracking-uri", stored.uri, "--json").stdout)
    differences = data["genotypes"]
    assert differences["equal_edges"] + len(differences["differing_edges"]) == 16
    if differences["differing_edges"]:
        edge = differences["differing_edges"][0]
        assert f"{edge['cell']} {edge['source']}→{edge['node']}" in result.stdout
    assert "origin" not in data["differing_settings"]


def test_a_differing_edge_is_told_with_its_operations(stored: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from factories import make_genotype

    from medarts_ops.tracking.reading import comparison

    made = iter([make_genotype("sep_conv_3x3"), make_genotype("dil_conv_5x5")])
    monkeypatch.setattr(comparison, "genotype_of", lambda store, run: next(made))
    words = (stored.run_ids["final-02"], stored.run_ids["final-01"])
    output = invoke("compare", *words, "--tracking-uri", stored.uri).stdout
    assert "Genotypes, edges that differ (0 edges the same)" in output
    assert ["reduce", "1→5", "sep_conv_3x3", "dil_conv_5x5"] in [line.split() for line in output.splitlines()]


def test_an_individual_without_a_genotype_is_named_and_the_others_compared(stored: Any) -> None:
    words = (stored.run_ids["init-00"], stored.run_ids["init-02"], stored.run_ids["init-01"])
    output = invoke("compare", *words, "--tracking-uri", stored.uri).stdout
    assert "No genotype yet: B" in output and "\nGenotypes" in output


@pytest.mark.parametrize("width", [20, 40, 80])
def test_twelve_runs_on_a_narrow_terminal_are_told_value_by_value(compared: Compared, width: int) -> None:
    lines = on_terminal(compared, width, *(f"search-{number}" for number in range(SEARCHES)))
    place = lines.index("holdout_share")
    assert lines[place + 1 : place + 3] == ["  A D G J: 0.5", "  B C E F H I K L: 0.25"]
    place = lines.index("accuracy")
    assert lines[place + 1] == "  A B C D E F G H I J K L: 90.00 %"
    assert all(any(run_id in line for line in lines) for run_id in compared.ids)


def test_a_wide_console_shows_twelve_runs_side_by_side_and_nothing_is_cut(compared: Compared) -> None:
    lines = on_terminal(compared, 200, *(f"search-{number}" for number in range(SEARCHES)))
    assert ["seed", *map(str, range(SEARCHES))] in [line.split() for line in lines]
    assert not any("…" in line for line in lines)


def test_no_colour_codes_reach_a_pipe(compared: Compared) -> None:
    assert "\x1b" not in told(compared, "search-0", "search-1")


def test_the_link_is_that_of_the_pages_that_medarts_ui_serves(compared: Compared) -> None:
    *_, how, link = told(compared, "search-0", "search-1").splitlines()
    assert f"`medarts ui --tracking-uri {compared.uri}`" in how
    expected = f'http://127.0.0.1:5000/#/compare-runs?runs=["{compared.ids[0]}", "{compared.ids[1]}"]&experiments=["1"]'
    assert unquote(link.strip()) == f"{expected}&workflowType=machine_learning"


def test_a_server_has_pages_to_link_to(compared: Compared, monkeypatch: pytest.MonkeyPatch) -> None:
    from medarts_ops.tracking.stores import opening

    opened = opening.open_store(compared.uri)
    monkeypatch.setattr(opening, "open_store", lambda uri, create, experiment: opened)
    words = ("compare", "search-0", "search-1", "--tracking-uri", "http://host:5000/")
    link = json.loads(invoke(*words, "--json").stdout)["link"]
    assert link.startswith("http://host:5000/#/compare-runs?runs=")
    assert invoke(*words).stdout.splitlines()[-2:] == ["Side by side in MLflow:", f"  {link}"]


def test_csv_has_a_row_for_each_run_and_a_column_for_each_setting_and_metric(compared: Compared) -> None:
    rows = list(csv.DictReader(io.StringIO(told(compared, "search-0", "search-5", "--csv"))))
    assert [row["run_id"] for row in rows] == [compared.ids[0], compared.ids[5]]
    assert [(row["params.seed"], row["params.holdout_share"]) for row in rows] == [("0", "0.5"), ("5", "0.25")]
    assert [row["metrics.accuracy"] for row in rows] == ["0.9", "0.9"]
    assert [row["hours"] for row in rows] == ["0.0025", "0.0025"]
    assert rows[0]["genotype"].startswith("Genotype(normal=[")


def test_json_is_pure_and_tells_differences_as_numbers(compared: Compared) -> None:
    data = json.loads(told(compared, "search-0", "search-5", "--json"))
    assert (data["kind"], data["link"]) == ("search", None)
    assert data["differing_settings"] == {"seed": [0, 5], "holdout_share": [0.5, 0.25]}
    assert [run["objectives"] for run in data["runs"]] == [{"accuracy": 0.9, "params": 2e6}] * 2
    assert data["genotypes"]["equal_edges"] == 16 and data["genotypes"]["differing_edges"] == []


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (lambda stored: [stored.run_ids["search"]], 2, "two runs at least"),
        (lambda stored: [], 2, "Missing argument"),
        (lambda stored: ["search-told", "search-told"], 1, "given more than once"),
        (lambda stored: ["search-told", "search-tolled"], 1, "did you mean 'search-told'?"),
        (lambda stored: ["search-told", stored.run_ids["evaluation"]], 1, "got search: search-told; evaluation: "),
        (lambda stored: ["search-told", "search-told", "--csv", "--json"], 2, "--csv and --json exclude each other"),
    ],
)
def test_bad_input_is_one_line(words: Callable[[Any], list[str]], code: int, message: str, stored: Any) -> None:
    result = invoke("compare", *words(stored), "--tracking-uri", stored.uri)
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (code, "", 1)
    assert message in result.stderr


@pytest.mark.parametrize(("place", "letter"), [(0, "A"), (25, "Z"), (26, "AA"), (51, "AZ"), (52, "BA"), (702, "AAA")])
def test_runs_beyond_z_have_two_letters(place: int, letter: str) -> None:
    assert run_letter(place) == letter


def test_a_metric_that_is_no_number_is_shown_and_is_null_in_json(stored: Any, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    uri = f"sqlite:///{shutil.copy(stored.uri.removeprefix('sqlite:///'), tmp_path)}"
    MlflowClient(tracking_uri=uri).log_metric(stored.run_ids["init-00"], "accuracy", float("nan"), step=1000)
    words = ("compare", stored.run_ids["init-00"], stored.run_ids["init-01"], "--tracking-uri", uri)
    rows = [line.split() for line in invoke(*words).stdout.splitlines()]
    assert ["accuracy", "nan", "80.00", "%"] in rows
    assert json.loads(invoke(*words, "--json").stdout)["runs"][0]["objectives"]["accuracy"] is None
