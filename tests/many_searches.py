"""A store of many searches, made in seconds: one is told by its events, the others are copies of its rows and files.

`python tests/many_searches.py [N]` fills one with N searches (300) and prints what the small commands take on it.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from factories import Outcome, make_evaluation_events, make_events, make_search_config_tiny, make_stages
from journals import write_journal

from medarts_ops.config import SpaceConfig
from medarts_ops.observers import SearchEvent
from medarts_ops.tracking.runs.evaluation_runs import MlflowEvaluationObserver
from medarts_ops.tracking.stores.opening import open_store
from medarts_ops.tracking.sync import sync_job
from medarts_ops.tracking.vocabulary import BEST_TAG, EVALUATES_TAG, EVALUATION_TAG

FIRST = "search-000"
"""The search that the others are copies of."""

TABLES = ("runs", "tags", "params", "metrics", "latest_metrics", "inputs", "input_tags")
"""Where MLflow keeps runs."""

MEASURING = """
import resource, subprocess, sys, time
began = time.monotonic()
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(time.monotonic() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
"""
"""What runs a command in a small process of its own: a child's memory is never less than that of who started it."""


def fill(folder: Path, searches: int) -> None:
    """Put so many finished searches of twelve individuals, each evaluated once, into a new store in `folder`.

    Their names are `search-000` and so on; the first one's journal is in `medarts-work`.
    """
    uri, work_dir = f"sqlite:///{(folder / 'mlflow.db').as_posix()}", folder / "medarts-work"
    write_journal(work_dir, FIRST, search_events())
    storage = f"sqlite:///{(folder / 'optuna.db').as_posix()}"
    search = sync_job(work_dir, FIRST, tracking_uri=uri, storage=storage, pictures=False).run_id
    store = open_store(uri)
    best = store.find_run(search).tags[BEST_TAG]
    evaluation = MlflowEvaluationObserver(store, f"evaluate-{FIRST}", tags={EVALUATES_TAG: best}, parent_run_id=search)
    for event in make_evaluation_events():
        evaluation.notify(event)
    add_copies(folder, FIRST, [f"search-{number:03}" for number in range(1, searches)])


def add_copies(folder: Path, search: str, names: Iterable[str]) -> None:
    """Copy a search, the only one of the store in `folder`, with its only evaluation under other names.

    The copies differ from it in their names and run ids alone, and share its files.
    """
    runs = folder / "mlruns" / "medarts"
    with closing(sqlite3.connect(folder / "mlflow.db")) as database, database:
        rows = {table: database.execute(f"SELECT * FROM {table}").fetchall() for table in TABLES}
        run_ids = [row[0] for row in database.execute("SELECT run_uuid FROM runs")]
        ids = run_ids + [row[0] for row in database.execute("SELECT input_uuid FROM inputs")]
        (evaluation,) = database.execute("SELECT value FROM tags WHERE key = ?", (EVALUATION_TAG,)).fetchone()
        for name in names:
            renamed = {known: uuid.uuid4().hex for known in ids} | {search: name, evaluation: f"evaluate-{name}"}
            for table, of_table in rows.items():
                places = ",".join("?" * len(of_table[0]))
                database.executemany(f"INSERT INTO {table} VALUES ({places})", _renamed(of_table, renamed))
            for run_id in run_ids:
                if (runs / run_id).exists():
                    shutil.copytree(runs / run_id, runs / renamed[run_id], copy_function=os.link)


def move_store(source: Path, folder: Path) -> None:
    """Copy a store's database and artifacts from one folder into another, where they can be changed."""
    shutil.copytree(source / "mlruns", folder / "mlruns")
    shutil.copy(source / "mlflow.db", folder)
    with closing(sqlite3.connect(folder / "mlflow.db")) as database, database:
        database.execute("UPDATE runs SET artifact_uri = replace(artifact_uri, ?, ?)", (str(source), str(folder)))
        database.execute(
            "UPDATE experiments SET artifact_location = replace(artifact_location, ?, ?)", (str(source), str(folder))
        )


def search_events() -> tuple[SearchEvent, ...]:
    """Six random individuals, then twice two heirs and their child."""
    first, *others = make_search_config_tiny().stages
    bred = {"survivors": 2, "children": 1}
    stages = (
        first.model_copy(update={"population": 6, "epochs": 2}),
        *(stage.model_copy(update=bred) for stage in others),
    )
    config = make_search_config_tiny().model_copy(update={"space": SpaceConfig(), "stages": stages})
    came = [Outcome(0.5 + number / 100, 2e6 + 1e5 * number) for number in range(6)]
    return make_events(config, make_stages(config, [came, came[:3], came[:3]]), FIRST, epochs=2)


def _renamed(rows: list[tuple[object, ...]], names: dict[str, str]) -> list[tuple[object, ...]]:
    known = re.compile("|".join(names))
    return [
        tuple(known.sub(lambda found: names[found[0]], cell) if isinstance(cell, str) else cell for cell in row)
        for row in rows
    ]


def measure(searches: int, turns: int = 3) -> None:
    """Print what the fastest turn of each of the small commands takes, as a table in Markdown."""
    medarts = Path(sys.executable).with_name("medarts")
    with tempfile.TemporaryDirectory() as place:
        folder, nothing = Path(place), f"sqlite:///{place}/empty.db"
        fill(folder, searches)
        open_store(nothing)
        commands = {
            "nothing to list": ("runs", "--tracking-uri", nothing),
            "runs": ("runs",),
            f"runs, all {searches}": ("runs", "--limit", str(searches)),
            "runs --csv": ("runs", "--csv"),
            "show": ("show", FIRST),
            "compare, 2 searches": ("compare", FIRST, "search-001"),
            "compare, 20 searches": ("compare", *(f"search-{number:03}" for number in range(min(searches, 20)))),
            "report": ("report", FIRST),
        }
        print("| command | s | CPU s | MiB |\n|---|---|---|---|", flush=True)
        for name, words in commands.items():
            took, used, memory = min(_measured([str(medarts), *words], folder) for _ in range(turns))
            print(f"| {name} | {took:.1f} | {used:.1f} | {memory:.0f} |", flush=True)


def _measured(command: list[str], folder: Path) -> tuple[float, float, float]:
    told = subprocess.run(
        [sys.executable, "-c", MEASURING, *command], cwd=folder, stdout=subprocess.PIPE, text=True, check=True
    )
    took, used, memory = map(float, told.stdout.split())
    return took, used, memory


if __name__ == "__main__":
    measure(int(sys.argv[1]) if len(sys.argv) > 1 else 300)
