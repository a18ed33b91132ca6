"""Addresses of stores: any folder has one, and none shows a password."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import optuna
import pytest

from medarts_ops.errors import ConfigError, StoreError
from medarts_ops.tracking.stores.databases import database_address, sqlite_address, sqlite_file, without_password
from medarts_ops.tracking.stores.opening import open_store, resolve_tracking_uri
from medarts_ops.tracking.stores.study_storage import open_study_storage

ODD = ("a%2Fb", "is it?x=1#y", "{braces} 50% ä☃", "user:secret@home")


@pytest.mark.parametrize("name", ODD)
def test_any_folder_holds_stores_and_artifacts(
    name: str, tmp_path: Path, template_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / name
    here.mkdir()
    monkeypatch.chdir(here)
    shutil.copy(template_database, here / "mlflow.db")
    store = open_store(None)
    run_id = store.create_run(experiment_id=store.experiment_id(), kind="search", name="a", tags={}, params={})
    store.log_json(run_id, "pictures/x.json", [1])
    assert open_store(store.uri).read_json_artifact(run_id, "pictures/x.json") == [1]
    optuna.create_study(storage=open_study_storage(None), study_name="a")
    made = {path.name for path in here.iterdir() if not path.name.startswith(".")}
    assert (made, [path.name for path in tmp_path.iterdir()]) == ({"mlflow.db", "mlruns", "optuna.db"}, [name])
    assert (here / "mlruns" / "medarts" / run_id / "artifacts" / "pictures" / "x.json").is_file()
    assert store.delete_run(run_id) and not (here / "mlruns" / "medarts" / run_id).exists()


@pytest.mark.parametrize("name", [*ODD, "plain"])
def test_an_address_means_the_file_that_it_was_made_for_and_stays_as_it_is(name: str, tmp_path: Path) -> None:
    address = sqlite_address(tmp_path / name / "x.db")
    assert sqlite_file(address) == tmp_path / name / "x.db"
    assert database_address(address, "") == address


def test_the_options_of_an_address_are_kept(tmp_path: Path) -> None:
    for name in ("x.db", "x%3F.db"):
        given = sqlite_address(tmp_path / name, {"timeout": "9"})
        assert given.endswith("?timeout=9") and database_address(given, "") == given


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql://u:p@host/db", "postgresql://u:***@host/db"),
        ("postgresql://u:p@ss@host/db", "postgresql://u:***@host/db"),
        ("postgresql://u:p/s?s a@host/db", "postgresql://u:***@host/db"),
        ("postgresql://host/db?user=u&password=p&x=1", "postgresql://host/db?user=u&password=***&x=1"),
        ("http://u:p#s@host:5000", "http://u:***@host:5000"),
        ("http://host:5000/x", "http://host:5000/x"),
        ("sqlite:////a:b@c/x.db", "sqlite:////a:b@c/x.db"),
    ],
)
def test_an_address_is_shown_without_all_that_may_be_of_its_password(address: str, shown: str) -> None:
    assert without_password(address) == shown


@pytest.mark.parametrize("opener", [open_store, open_study_storage])
def test_a_second_at_sign_is_refused_with_its_code(opener) -> None:
    with pytest.raises(ConfigError, match="more than one @: write one in a password as %40") as caught:
        opener("postgresql://u:p@55@host/db")
    assert "55" not in str(caught.value)


@pytest.mark.parametrize("given", ["http://u:55/55@host:5000", "http://u:s#55@host", "http://host:s55"])
def test_a_password_that_cuts_a_servers_address_is_refused_with_its_code(given: str) -> None:
    with pytest.raises(ConfigError, match="in a password as %2F or %23") as caught:
        resolve_tracking_uri(given)
    assert "55" not in str(caught.value) or "@" not in given


@pytest.fixture
def locked_server() -> Iterator[HTTPServer]:
    """A server that lets nobody in without a password, and refuses its only user's requests, too."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/health" else 401)
            self.end_headers()

        def do_POST(self) -> None:
            seen.append(self.headers["Authorization"])
            self.rfile.read(int(self.headers["Content-Length"]))
            self.connection.close()  # the error that MLflow raises then names the whole address

        def log_message(self, format: str, *args: object) -> None:
            pass

    seen: list[str] = []
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.seen = seen  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_user_and_a_password_go_to_the_server_and_into_no_message(locked_server: HTTPServer) -> None:
    with pytest.raises(StoreError, match=r"http://me:\*\*\*@127") as caught:
        open_store(f"http://me:s@cret@127.0.0.1:{locked_server.server_port}")
    assert "cret" not in str(caught.value)
    assert locked_server.seen[0] == "Basic bWU6c0BjcmV0"  # type: ignore[attr-defined]
