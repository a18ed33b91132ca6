"""What tests of several rooms share: a database with MLflow's tables, which take seconds to make."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Before torch is imported: its threads wait by spinning, which on a busy machine costs far more than they bring.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def template_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's tables and nothing in them, to be copied."""
    from medarts_ops.tracking.stores.opening import open_store

    file = tmp_path_factory.mktemp("mlflow-template") / "mlflow.db"
    open_store(f"sqlite:///{file}")
    return file
