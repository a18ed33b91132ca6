"""`medarts ui`: MLflow's pages on the store in use, and links into them that other verbs write."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import click
from rich.console import Console

from medarts_ops.cli.options import Places, places_options
from medarts_ops.cli.output import command_line
from medarts_ops.cli.visible import echo
from medarts_ops.errors import StoreError

if TYPE_CHECKING:
    from medarts_ops.tracking.stores.run_store import RunStore

LOCAL = "127.0.0.1"
DEFAULT_PORT = 5000
PAGES_VARIABLE = "MEDARTS_UI_URL"
"""Where people see a server's pages, if that is not where searches reach it: in containers it has another name."""


@click.command()
@click.option(
    "--port", type=click.IntRange(1, 65535), default=DEFAULT_PORT, show_default=True, help="Where the pages are served."
)
@places_options("tracking_uri")
def command(places: Places, *, port: int) -> None:
    """Start MLflow's pages on the store in use, and print the link that compares individuals.

    Runs until Ctrl-C. A store behind http(s):// has its own pages already: then only the link is printed.

    \b
    Examples:
      medarts ui
      medarts ui --port 5001
    """
    from medarts_ops.tracking.stores.opening import open_store, resolve_tracking_uri

    uri = resolve_tracking_uri(places.tracking_uri)
    served = pages_of(uri)
    store = open_store(uri, create=False, experiment=places.experiment)
    link = best_link(store, served or f"http://{LOCAL}:{port}")
    if served is not None:
        echo(link)
        return
    if _is_taken(port):
        raise StoreError(
            f"port {port} is in use: give another by --port, or, if that is this store's MLflow, open {link}"
        )
    echo("MLflow starts in about ten seconds; Ctrl-C ends it. Compare individuals at", err=True)
    echo(link)
    serve(uri, port)


def pages_of(uri: str) -> str | None:
    """The address of a server's own pages; None where the store is none.

    `PAGES_VARIABLE` has the last word. A user and a password in an address are left out: a browser asks for them.
    """
    if not uri.startswith(("http://", "https://")):
        return None
    from medarts_ops.tracking.stores.databases import without_user

    return without_user(os.environ.get(PAGES_VARIABLE) or uri)


def served_pages(tracking_uri: str | None) -> str | None:
    """The address of the pages where the store is a server's, which has them; None for a database."""
    from medarts_ops.tracking.stores.opening import resolve_tracking_uri

    return pages_of(resolve_tracking_uri(tracking_uri))


def print_link(console: Console, what: str, link: Callable[[str], str], places: Places) -> None:
    """Write the link to `what` there is to see, and what makes it answer where the store is a database.

    `link` gives it for the address of the pages.
    """
    pages = served_pages(places.tracking_uri)
    once = "" if pages else f", once `{command_line('ui', tracking_uri=places.named_store)}` runs"
    console.print(f"{what} in MLflow{once}:\n  {link(pages or f'http://{LOCAL}:{DEFAULT_PORT}')}")


def best_link(store: RunStore, pages: str) -> str:
    """The comparison of the newest search's individuals, or MLflow's first page while there is none.

    One that ended early has less to show, so it gives way to the newest that did not.
    """
    from medarts_ops.tracking.reading.contents import first_objective
    from medarts_ops.tracking.reading.links import individuals_link
    from medarts_ops.tracking.vocabulary import SEARCH_TAG

    searches = store.all_of_kind("search")
    if not searches:
        return f"{pages}/#/experiments?workflowType=machine_learning"
    newest = next((run for run in searches if run.status in ("RUNNING", "FINISHED")), searches[0])
    return individuals_link(pages, newest.experiment_id, newest.tags[SEARCH_TAG], first_objective(newest))


def server_environment(uri: str) -> dict[str, str]:
    """This process's environment with the store in it, where other users' `ps` does not show its password."""
    return os.environ | {
        "MLFLOW_BACKEND_STORE_URI": uri,
        # Without its job runner the server is 2 processes and 0.5 GB instead of 10 and 2.3 GB.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PYTHONWARNINGS": "ignore",  # of libraries about each other: nothing that its reader could do
    }


def serve(uri: str, port: int) -> None:
    """Runs `mlflow server` on this machine only, until this process is interrupted.

    Raises:
        StoreError: the server ended by itself with an error.
    """
    words = [sys.executable, "-m", "mlflow", "server", "--host", LOCAL, "--port", str(port), "--workers", "1"]
    # In a group of its own, where Ctrl-C does not reach it: uvicorn answers that with tracebacks, SIGTERM with order.
    with subprocess.Popen(words, env=server_environment(uri), process_group=0) as server:
        try:
            code = server.wait()
        except KeyboardInterrupt:  # the way to end it, so no error
            server.terminate()
            server.wait()
            return
    if code:
        raise StoreError(f"mlflow server ended with exit code {code}: see its messages above")


def _is_taken(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        return probe.connect_ex((LOCAL, port)) == 0
