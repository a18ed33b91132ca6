"""An evaluation's model as a version in MLflow's registry: `medarts export --register`."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from medarts_ops.cli.output import print_facts, results_console
from medarts_ops.tracking.stores.databases import without_password

if TYPE_CHECKING:
    from medarts_ops.tracking.reading.jobs import Job
    from medarts_ops.tracking.stores.model_registry import Registered

SERVING_PORT = 5001
"""Beside MLflow's pages, which take 5000."""


def check_registry(job: Job, name: str, alias: str | None) -> None:
    """Refuse a name, an alias or a store that can't be registered in, before anything is written."""
    from medarts_ops.tracking.stores.model_registry import check_can_be_registered

    check_can_be_registered(job.opened_store().uri, name, alias)


def registered(job: Job, name: str, alias: str | None, model_id: str | None) -> Registered:
    """Register the evaluation's model of that id, or its newest one."""
    from medarts_ops.tracking.runs.registered_network import register_network

    return register_network(job, name, alias, model_id=model_id)


def registered_json(made: Registered) -> dict[str, Any]:
    """A version as plain data."""
    return {"name": made.name, "version": made.version, "alias": made.alias, "registered_uri": made.model_uri}


def print_registered(made: Registered, uri: str) -> None:
    """A version, the address that it is loaded by, and how."""
    alias = f", alias {made.alias}" if made.alias else ""
    before = f", which was version {made.replaced}'s" if made.replaced not in (None, made.version) else ""
    console = results_console()
    print_facts(
        console, [("registered", f"{made.name}, version {made.version}{alias}{before}"), ("uri", made.model_uri)]
    )
    store = without_password(uri)
    console.print(
        f"\nLoad it:\n  import mlflow\n  mlflow.set_tracking_uri({store!r})\n"
        f"  model = mlflow.pyfunc.load_model({made.model_uri!r})\nor serve it:\n  {serving(made.model_uri, store)}"
    )


def serving(model_uri: str, store: str) -> str:
    """The command that serves a model of a store, to copy."""
    words = ["mlflow", "models", "serve", "-m", model_uri, "--env-manager", "local", "--port", str(SERVING_PORT)]
    return f"MLFLOW_TRACKING_URI={shlex.quote(store)} {shlex.join(words)}"
