"""What others wrote reaches no terminal as it is: names, tags, settings and classes that hold controls."""

from __future__ import annotations

import json
import logging
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from refusals import invoke

from medarts_ops.cli.visible import VisibleLines
from medarts_ops.visible import visible

HOSTILE = "\x1b[31m\x9b2J\u202eevil\u2066\x07\r\nforged [red] :bomb: \u2028end"
SHOWN = r"\x1b[31m\x9b2J\u202eevil\u2066\x07\r\nforged [red] :bomb: \u2028end"


@pytest.fixture(scope="module")
def hostile(stored: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, str]]:
    """The address of a store in which somebody wrote `HOSTILE` wherever they can, and the runs in it."""
    file = shutil.copy(stored.uri.removeprefix("sqlite:///"), tmp_path_factory.mktemp("hostile") / "mlflow.db")
    with closing(sqlite3.connect(file)) as store, store:
        store.execute("update runs set name = name || ?", [HOSTILE])
        for key in ("medarts.origin", "medarts.dataset", "medarts.failure"):
            store.execute("update tags set value = ? where key = ?", [HOSTILE, key])
        store.execute("update params set value = ? || run_uuid where key in ('preset', 'alpha_lr', 'seed')", [HOSTILE])
        (run_id,) = store.execute("select run_uuid from params limit 1").fetchone()
        store.execute("insert into params values ('=cmd|calc', ?, ?)", [HOSTILE, run_id])
    return f"sqlite:///{Path(file).as_posix()}", stored.run_ids


def output(hostile: tuple[str, dict[str, str]], *words: str) -> str:
    uri, run_ids = hostile
    result = invoke(*(run_ids.get(word, word) for word in words), "--tracking-uri", uri)
    assert result.exit_code == 0, result.output
    assert SHOWN in result.stdout or "--json" in words
    return result.stdout


@pytest.mark.parametrize(
    "words",
    [
        ("runs",),
        ("runs", "--csv"),
        ("runs", "--json"),
        ("show", "search"),
        ("show", "stage/0"),
        ("show", "final-02"),
        ("show", "evaluation"),
        ("show", "search", "--json"),
        ("compare", "final-00", "final-02"),
        ("compare", "final-00", "final-02", "--csv"),
        ("compare", "final-00", "final-02", "--json"),
    ],
)
def test_a_terminal_is_told_nothing_by_what_others_wrote(hostile: Any, words: tuple[str, ...]) -> None:
    shown = output(hostile, *words)
    assert all(line.isprintable() for line in shown.split("\n"))
    assert not any(line.lstrip().startswith("forged") for line in shown.split("\n"))


def test_json_holds_what_others_wrote_as_it_is(hostile: Any) -> None:
    assert HOSTILE in json.loads(output(hostile, "runs", "--json"))[0]["name"]


def test_one_value_is_one_line() -> None:
    assert visible("a\tb\r\nc") == r"a\tb\r\nc"
    assert visible("a\nb\x85", line_breaks=True) == "a\nb\\x85"


def test_letters_and_spaces_of_all_scripts_stay() -> None:
    assert visible("größe 猫\u3000α∞ 🦜") == "größe 猫\u3000α∞ 🦜"


def test_bytes_of_a_file_name_that_are_no_utf_8_are_visible() -> None:
    assert visible("caf\udce9.png") == r"caf\udce9.png"


@pytest.mark.parametrize(("level", "kind"), [(logging.WARNING, "warning: "), (logging.INFO, "")])
def test_log_lines_are_visible_and_say_that_they_warn(level: int, kind: str) -> None:
    record = logging.LogRecord("medarts_ops", level, "", 0, "run %s", ("\x1b[2J",), None)
    assert VisibleLines().format(record) == kind + r"run \x1b[2J"


def test_an_error_is_visible(here: Path) -> None:
    result = invoke("show", "\x1b[31m\u202e")
    assert result.exit_code == 1 and result.stderr.rstrip("\n").isprintable()
