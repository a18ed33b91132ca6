"""What the commands that list and show ask of a store does not grow with what is in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from many_searches import add_copies, move_store
from mlflow.entities import Run
from refusals import invoke
from sqlalchemy import Engine, event

from medarts_ops.tracking.stores import run_queries
from medarts_ops.tracking.stores.entities import stored_run
from medarts_ops.tracking.stores.stored_run import StoredRun

FEW, MANY = 3, 30
COMMANDS = {
    "runs": ("runs",),
    "runs --limit": ("runs", "--limit", str(MANY)),
    "runs --json": ("runs", "--json"),
    "runs --csv": ("runs", "--csv"),
    "show": ("show", "search-01"),
    "show an evaluation": ("show", "evaluate-search-01", "--json"),
    "compare": ("compare", "search-01", "search-02", "search-told"),
}


@pytest.fixture(scope="module")
def stores(stored: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[int, str]:
    """The addresses of stores that differ in how many searches they have."""
    uris = {}
    for searches in (FEW, MANY):
        folder = tmp_path_factory.mktemp(f"{searches}-searches")
        move_store(Path(stored.uri.removeprefix("sqlite:///")).parent, folder)
        add_copies(folder, "search-told", [f"search-{number:02}" for number in range(1, searches)])
        uris[searches] = f"sqlite:///{folder / 'mlflow.db'}"
        invoke("runs", "--tracking-uri", uris[searches])  # MLflow asks more of a store that it opens for the first time
    return uris


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """Every statement that any database is given from now on."""
    given: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *more: Any) -> None:
        given.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    yield given
    event.remove(Engine, "before_cursor_execute", note)


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_a_store_of_many_searches_is_asked_no_more_than_one_of_few(
    stores: dict[int, str], statements: list[str], words: tuple[str, ...]
) -> None:
    asked = {}
    for searches, uri in stores.items():
        statements.clear()
        result = invoke(*words, "--tracking-uri", uri)
        assert (result.exit_code, result.stderr) == (0, "")
        asked[searches] = len(statements)
    assert asked[FEW] == asked[MANY] > 0


@pytest.mark.parametrize("name", ["show", "show an evaluation", "compare"])
def test_what_is_shown_is_read_without_all_other_searches(
    stores: dict[int, str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    read: list[str] = []

    def noting(run: Run) -> StoredRun:
        read.append(run.info.run_id)
        return stored_run(run)

    monkeypatch.setattr(run_queries, "stored_run", noting)
    counts = []
    for uri in stores.values():
        read.clear()
        assert invoke(*COMMANDS[name], "--tracking-uri", uri).exit_code == 0
        counts.append(len(read))
    assert counts[0] == counts[1] > 0


def test_a_list_of_searches_opens_no_artifact(stores: dict[int, str]) -> None:
    listed = invoke("runs", "--tracking-uri", stores[FEW]).stdout
    assert listed.count("accuracy 95.00 %") == FEW
    shutil.rmtree(Path(stores[FEW].removeprefix("sqlite:///")).parent / "mlruns")
    assert invoke("runs", "--tracking-uri", stores[FEW]).stdout == listed
