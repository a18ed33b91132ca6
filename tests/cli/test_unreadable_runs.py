"""One run that can't be read: the commands say so beside all others, and end well."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from many_searches import add_copies, move_store
from refusals import invoke

from medarts_ops.tracking.artifacts.files import MAX_ARTIFACT_BYTES


class Spoilt:
    """A store of the searches `search-told` and `search-other`; of the first something is spoilt."""

    def __init__(self, folder: Path, run_ids: dict[str, str]) -> None:
        self.uri, self.run_ids, self._folder = f"sqlite:///{folder / 'mlflow.db'}", run_ids, folder

    def change(self, statement: str, *values: str) -> None:
        """Change the database as another program could."""
        with closing(sqlite3.connect(self._folder / "mlflow.db")) as database, database:
            database.execute(statement, values)

    def forget_objectives(self) -> None:
        """Make the first search one of a release that did not name its objectives in parameters."""
        run_id = self.run_ids["search"]
        self.change("DELETE FROM params WHERE key LIKE 'objectives.%' AND run_uuid = ?", run_id)

    def delete(self, name: str) -> None:
        """Delete a run in MLflow's pages."""
        self.change("UPDATE runs SET lifecycle_stage = 'deleted' WHERE run_uuid = ?", self.run_ids[name])

    def artifact(self, name: str, path: str) -> Path:
        """An artifact's file, of which no other run has a part."""
        file = self._folder / "mlruns" / "medarts" / self.run_ids[name] / "artifacts" / path
        content = file.read_bytes()
        file.unlink()
        file.write_bytes(content)
        return file

    def told(self, *words: str) -> str:
        """What a command says of the store."""
        result = invoke(*words, "--tracking-uri", self.uri)
        assert (result.exit_code, result.stderr) == (0, "")
        return result.stdout

    def json(self, *words: str) -> Any:
        """What a command says of the store, as JSON."""
        return json.loads(self.told(*words, "--json"))


@pytest.fixture
def spoilt(stored: Any, tmp_path: Path) -> Spoilt:
    move_store(Path(stored.uri.removeprefix("sqlite:///")).parent, tmp_path)
    add_copies(tmp_path, "search-told", ["search-other"])
    return Spoilt(tmp_path, stored.run_ids)


def link(file: Path) -> None:
    file.rename(file.with_name("elsewhere"))
    file.symlink_to(file.parent.parent)


SPOILING: dict[str, Callable[[Path], object]] = {
    "removed": lambda file: file.unlink(),
    "broken": lambda file: file.write_text('{"preset": '),
    "of another shape": lambda file: file.write_text('{"objectives": 3}'),
    "no text": lambda file: file.write_bytes(b"\xff\xfe{}"),
    "enlarged": lambda file: file.write_bytes(b" " * (MAX_ARTIFACT_BYTES + 1)),
    "a link to a folder": link,
    "a link to nothing": lambda file: (file.unlink(), file.symlink_to("nothing")),
}


@pytest.mark.parametrize("spoil", SPOILING.values(), ids=SPOILING)
def test_settings_that_can_not_be_read_are_said_in_their_row_and_hide_no_other(
    spoilt: Spoilt, spoil: Callable[[Path], object]
) -> None:
    spoilt.forget_objectives()
    spoil(spoilt.artifact("search", "config.json"))
    rows = {row["name"]: row for row in spoilt.json("runs")}
    assert "config.json" in rows["search-told"]["problems"][0] and rows["search-told"]["objectives"] == {}
    assert rows["search-other"]["problems"] == [] and rows["search-other"]["objectives"]["accuracy"] == 0.95


def test_settings_that_are_gone_are_said_by_every_command_beside_all_else(spoilt: Spoilt) -> None:
    spoilt.forget_objectives()
    spoilt.artifact("search", "config.json").unlink()
    listed, shown = spoilt.told("runs"), spoilt.json("show", "search-told")
    (problem,) = shown["problems"]
    assert problem.startswith(f"run {spoilt.run_ids['search']} has no artifact 'config.json': it has ")
    assert len(shown["stages"]) == 2 and len(shown["lineage"]) == 3
    assert f"  {problem}\n" in listed and "accuracy 95.00 %, params 4.00 M" in listed
    table = {row["name"]: row for row in csv.DictReader(io.StringIO(spoilt.told("runs", "--csv")))}
    assert (table["search-told"]["problems"], table["search-other"]["problems"]) == (problem, "")
    compared = spoilt.json("compare", "search-told", "search-other")["runs"]
    assert [run["problems"] for run in compared] == [[problem], []]
    assert compared[0]["genotype"] == compared[1]["genotype"]


def test_a_search_of_an_older_release_is_listed_from_its_artifact(spoilt: Spoilt) -> None:
    listed = spoilt.json("runs")
    spoilt.forget_objectives()
    assert spoilt.json("runs") == listed


def test_the_settings_of_a_search_of_today_are_not_fetched_for_a_list(spoilt: Spoilt) -> None:
    listed = spoilt.json("runs")
    spoilt.artifact("search", "config.json").unlink()
    assert spoilt.json("runs") == listed and listed[0]["problems"] == []


@pytest.mark.parametrize("how", ["removed", "broken"])
def test_a_genotype_that_can_not_be_read_is_said_beside_all_else(spoilt: Spoilt, how: str) -> None:
    SPOILING[how](spoilt.artifact("search", "genotype.json"))
    shown = spoilt.json("show", "search-told")
    assert "genotype.json" in shown["problems"][0] and shown["genotype"] is None and len(shown["lineage"]) == 3
    assert f"What can't be read\n  {shown['problems'][0]}\n" in spoilt.told("show", "search-told")
    assert f"A: {shown['problems'][0]}\n" in spoilt.told("compare", "search-told", "search-other")
    assert "\nNo genotype: A\n" in spoilt.told("compare", "search-told", "search-other")


def test_an_ancestor_that_was_deleted_is_named_and_the_others_drawn(spoilt: Spoilt) -> None:
    spoilt.delete("init-00")
    gone = spoilt.run_ids["init-00"]
    shown = spoilt.json("show", "search-told")
    assert [row["name"] for row in shown["lineage"]] == ["final-02", "init-01"]
    assert shown["lineage"][0]["parents"][0] == gone
    assert shown["problems"] == [
        f"run {gone} was deleted: `mlflow runs restore --run-id {gone}` brings it back, but no artifact that "
        "`medarts delete` removed"
    ]
    assert f"├── {gone} (can't be read)\n└── init-01 (random)" in spoilt.told("show", "search-told")


def test_a_search_whose_best_individual_was_deleted_shows_all_else(spoilt: Spoilt) -> None:
    spoilt.delete("final-02")
    shown = spoilt.json("show", "search-told")
    assert (shown["lineage"], len(shown["problems"]), len(shown["stages"])) == ([], 1, 2)
    assert shown["genotype"] is not None and shown["evaluations"][0]["name"] == "evaluate-test"
    compared = spoilt.json("compare", "search-told", "search-other")["runs"]
    assert [bool(run["problems"]) for run in compared] == [True, False]
    assert compared[1]["objectives"]["accuracy"] == 0.95


def test_an_evaluation_whose_search_was_deleted_is_listed_and_shown(spoilt: Spoilt) -> None:
    spoilt.delete("search")
    listed = spoilt.told("runs")
    heading, row, *_ = listed.partition("Evaluations whose search was deleted\n")[1:]
    assert heading and row.startswith(f"{spoilt.run_ids['evaluation']}  evaluate-test\n")
    assert "search-told" not in listed and "search-other" in listed
    shown = spoilt.json("show", spoilt.run_ids["evaluation"])
    assert "was deleted: `mlflow runs restore" in shown["problems"][0] and shown["search_run_id"] is None
    assert shown["metrics"]["test_error"] == 0.125 and shown["genotype"] is not None
    for part in ("stage/0", "final-02"):
        assert len(spoilt.json("show", spoilt.run_ids[part])["problems"]) == 1


def test_a_run_of_somebody_else_below_a_search_hides_nothing(spoilt: Spoilt) -> None:
    shown = spoilt.json("show", "search-told")
    stage = spoilt.run_ids["stage/0"]
    spoilt.change("DELETE FROM tags WHERE key LIKE 'medarts.%' AND run_uuid = ?", stage)
    left = spoilt.json("show", "search-told")
    assert [run["name"] for run in left["stages"]] == ["stage-final"] and left["lineage"] == shown["lineage"]
    of_stage = spoilt.json("show", spoilt.run_ids["init-00"])
    assert "is not of medarts" in of_stage["problems"][0] and of_stage["genotype"] is not None


@pytest.mark.parametrize("start", ["9000000000000000000", "-9000000000000000000"])
def test_a_run_that_began_at_no_time_hides_no_other(spoilt: Spoilt, start: str) -> None:
    spoilt.change(f"UPDATE runs SET start_time = {start} WHERE run_uuid = ?", spoilt.run_ids["search"])
    rows = {row["name"]: row["started"] for row in spoilt.json("runs")}
    assert rows["search-told"].startswith("1970-") and rows["search-other"] > "2020"
    assert "search-told" in spoilt.told("runs")
