"""Calling the command with bad input, and what must be true afterwards."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from click.testing import CliRunner, Result

from medarts_ops.cli.main import medarts

VARIABLES = (
    "MEDARTS_TRACKING_URI",
    "MLFLOW_TRACKING_URI",
    "MLFLOW_EXPERIMENT_NAME",
    "MLFLOW_EXPERIMENT_ID",
    "OPTUNA_STORAGE",
    "MEDARTS_DATA_DIR",
    "MEDARTS_DEBUG",
)
"""What would change a command behind a test's back."""

FIRST_LINES = ("reading images ", "looking for ", "loading ")
"""What commands say at once, before they import what takes seconds."""


def invoke(*words: str) -> Result:
    return CliRunner(env=dict.fromkeys(VARIABLES)).invoke(medarts, words)


def count(database: Path, table: str) -> int:
    if not database.exists():
        return 0
    with closing(sqlite3.connect(database)) as connection:
        (rows,) = connection.execute(f"select count(*) from {table}").fetchone()
    return int(rows)


def assert_refused(result: Result, code: int, message: str) -> None:
    """One line after the first ones and the exit code, and no run, no study and no search's folder in this folder."""
    *before, error = result.stderr.removesuffix("\n").split("\n")
    assert all(line.startswith(FIRST_LINES) for line in before), result.stderr
    assert error.startswith("error: ") and message in error, result.stderr
    assert (result.exit_code, result.stdout) == (code, "")
    assert (count(Path("mlflow.db"), "runs"), count(Path("optuna.db"), "studies")) == (0, 0)
    assert not list(Path.cwd().glob("medarts-work/*"))
