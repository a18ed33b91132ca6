"""The names in a local store, read within a keypress: without MLflow, which takes seconds to import."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from medarts_ops.tracking.vocabulary import INDIVIDUAL_TAG, JOBS, KIND_TAG, SEARCH_TAG, STAGE_TAG

MOST = 100
"""Names that are given, the newest."""

_OF_JOBS = f"""
SELECT runs.name FROM runs JOIN tags ON tags.run_uuid = runs.run_uuid AND tags.key = '{KIND_TAG}'
WHERE runs.lifecycle_stage = 'active' AND tags.value IN ({", ".join("?" * len(JOBS))}) AND substr(runs.name, 1, ?) = ?
ORDER BY runs.start_time DESC LIMIT {MOST}
"""

_OF_PARTS = f"""
SELECT DISTINCT CASE part.key WHEN '{STAGE_TAG}' THEN 'stage-' || part.value ELSE part.value END
FROM runs JOIN tags AS part ON part.run_uuid = runs.run_uuid AND part.key IN ('{INDIVIDUAL_TAG}', '{STAGE_TAG}')
JOIN tags AS search ON search.run_uuid = runs.run_uuid AND search.key = '{SEARCH_TAG}'
WHERE runs.lifecycle_stage = 'active' AND search.value = ? ORDER BY runs.start_time LIMIT {MOST}
"""


def known_names(file: Path, beginning: str) -> list[str]:
    """Names of jobs in MLflow's SQLite file that begin so, the newest first; of `<search>/` those of its parts.

    Raises:
        sqlite3.Error: no such file, or not a store.
    """
    search, slash, part = beginning.partition("/")
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=0.2)) as database:
        if slash:
            found = [f"{search}/{name}" for (name,) in database.execute(_OF_PARTS, (search,))]
            return [name for name in found if name.startswith(beginning)]
        return [name for (name,) in database.execute(_OF_JOBS, (*JOBS, len(beginning), beginning))]
