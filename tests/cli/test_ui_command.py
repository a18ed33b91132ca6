"""`medarts ui`, without starting MLflow's server."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from click.testing import CliRunner, Result

from medarts_ops.cli import ui
from medarts_ops.cli.main import medarts


def invoke(*words: str) -> Result:
    return CliRunner().invoke(medarts, ["ui", *words])


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """The (store, port) of every server that would have been started."""
    calls: list[tuple[str, int]] = []
    monkeypatch.setattr(ui, "serve", lambda uri, port: calls.append((uri, port)))
    return calls


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((ui.LOCAL, 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind((ui.LOCAL, 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_the_link_compares_the_newest_searchs_individuals(
    stored: Any, served: list[tuple[str, int]], free_port: int
) -> None:
    result = invoke("--tracking-uri", stored.uri, "--port", str(free_port))
    link = result.stdout.strip()
    assert link.startswith(f"http://127.0.0.1:{free_port}/#/experiments/")
    assert "compareRunsMode=CHART" in link
    assert "tags.`medarts.kind`='individual'" in unquote(link)
    assert "'search-told'" in unquote(link)
    assert served == [(stored.uri, free_port)]


def test_a_store_that_was_never_made_is_not_made_by_looking(
    tmp_path: Path, served: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("MEDARTS_TRACKING_URI", raising=False)
    result = invoke()
    assert (result.exit_code, served, list(tmp_path.iterdir())) == (1, [], [])
    assert "run `medarts search` first" in result.stderr


def test_a_taken_port_is_said_before_mlflow_fails_on_it(
    stored: Any, served: list[tuple[str, int]], taken_port: int
) -> None:
    result = invoke("--tracking-uri", stored.uri, "--port", str(taken_port))
    assert (result.exit_code, served) == (1, [])
    assert f"port {taken_port} is in use" in result.stderr


def test_the_server_gets_the_store_where_ps_does_not_show_it() -> None:
    environment = ui.server_environment("postgresql://user:secret@host/db")
    assert environment["MLFLOW_BACKEND_STORE_URI"] == "postgresql://user:secret@host/db"
    assert environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"


def test_an_interrupt_ends_the_server_and_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []

    class Server:
        def __init__(self, words: list[str], env: dict[str, str], process_group: int) -> None:
            assert ["--workers", "1"] == words[-2:]

        def __enter__(self) -> Server:
            return self

        def __exit__(self, *error: object) -> None:
            ended.append("left")

        def wait(self) -> int:
            if not ended:
                raise KeyboardInterrupt
            return 0

        def terminate(self) -> None:
            ended.append("terminated")

    monkeypatch.setattr(ui.subprocess, "Popen", Server)
    ui.serve("sqlite:///x.db", 5000)
    assert ended == ["terminated", "left"]


@pytest.mark.parametrize(
    ("uri", "variable", "pages"),
    [
        ("sqlite:///mlflow.db", None, None),
        ("sqlite:///mlflow.db", "http://seen:1", None),
        ("http://mlflow:5000", None, "http://mlflow:5000"),
        ("http://mlflow:5000", "http://127.0.0.1:5001", "http://127.0.0.1:5001"),
        ("https://me:se%40cret@tracking.example.org/ml", None, "https://tracking.example.org/ml"),
    ],
)
def test_links_lead_where_people_see_the_pages_and_hold_no_password(
    monkeypatch: pytest.MonkeyPatch, uri: str, variable: str | None, pages: str | None
) -> None:
    if variable is None:
        monkeypatch.delenv(ui.PAGES_VARIABLE, raising=False)
    else:
        monkeypatch.setenv(ui.PAGES_VARIABLE, variable)
    assert ui.pages_of(uri) == pages
