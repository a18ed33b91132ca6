"""The Makefile's decisions, read from `make -n`, and how the lock is written."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TARGETS = {"help", "environment", "search", "test", "test-fast", "test-faults", "gpu-proof", "lint", "lock", "clean"}
AROUND = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "VENV")
"""What a `make test` around these tests would hand to their own `make`."""

SIDE_BY_SIDE = "--numprocesses=logical --maxprocesses=4 --dist=worksteal"

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def make(*words: str) -> str:
    """What `make` prints."""
    environment = {name: value for name, value in os.environ.items() if name not in AROUND}
    done = subprocess.run(["make", *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return done.stdout


def make_environment(folder: Path, sources: str, *, editable: bool = True) -> Path:
    """What is left in a folder by an installation of `sources` that `make` has marked as ready."""
    installed = folder / "lib" / "python3.11" / "site-packages" / "medarts_ops-0.1.0.dist-info"
    installed.mkdir(parents=True)
    origin = {"dir_info": {"editable": True} if editable else {}, "url": f"file://{sources}"}
    (installed / "direct_url.json").write_text(json.dumps(origin), encoding="utf-8")
    mark = next(line for line in make("-n", "environment", f"VENV={folder}").splitlines() if line.startswith("touch "))
    Path(mark.removeprefix("touch ")).touch()
    return folder


def test_help_lists_the_targets() -> None:
    assert {line.split()[0] for line in make("help").splitlines()} >= TARGETS


@pytest.mark.parametrize(
    ("target", "command"),
    [
        ("test", f'pytest {SIDE_BY_SIDE} -m "not faults"'),
        ("test-fast", f'pytest {SIDE_BY_SIDE} -m "not slow and not gpu and not faults"'),
        ("test-faults", f"pytest {SIDE_BY_SIDE} -m faults tests/faults"),
    ],
)
def test_a_ready_environment_is_used_as_it_is(target: str, command: str, tmp_path: Path) -> None:
    environment = make_environment(tmp_path, str(ROOT))
    assert make("-n", target, f"VENV={environment}").splitlines() == [f"{environment}/bin/{command}"]


def test_a_new_environment_is_made_and_installed_before_it_is_marked(tmp_path: Path) -> None:
    lines = make("-n", "environment", f"VENV={tmp_path}/new").splitlines()
    assert "-m venv" in lines[0]
    assert "--editable" in lines[-2]
    assert lines[-1].startswith(f"touch {tmp_path}/new/.ready-")


@pytest.mark.parametrize(("sources", "editable"), [("/another/clone", True), (f"{ROOT}-2", True), (str(ROOT), False)])
def test_an_environment_that_runs_other_sources_is_pointed_here(sources: str, editable: bool, tmp_path: Path) -> None:
    environment = make_environment(tmp_path, sources, editable=editable)
    lines = make("-n", "test", f"VENV={environment}").splitlines()
    assert any("--editable" in line for line in lines)
    assert lines[-1] == f'{environment}/bin/pytest {SIDE_BY_SIDE} -m "not faults"'


def test_an_environment_of_other_requirements_is_brought_up_to_date(tmp_path: Path) -> None:
    environment = make_environment(tmp_path, str(ROOT))
    next(environment.glob(".ready-*")).rename(environment / ".ready-0123456789abcdef")
    lines = make("-n", "test", f"VENV={environment}").splitlines()
    # The old mark goes before anything is installed: a broken-off installation must not look ready.
    assert lines.index(f"rm -f {environment}/.ready-*") < next(n for n, line in enumerate(lines) if " install " in line)


@pytest.fixture
def write_lock() -> Callable[[Path, Path], None]:
    main: Callable[[Path, Path], None] = runpy.run_path(str(ROOT / ".ci" / "lock.py"))["main"]
    return main


def write_report(folder: Path, python: str) -> Path:
    names = ("medarts-ops", "torch", "Flask", "alembic")
    report = {
        "environment": {"python_version": python, "sys_platform": "linux"},
        "install": [{"metadata": {"name": name, "version": "1.0"}} for name in names],
    }
    path = folder / "report.json"
    path.write_text(json.dumps(report), encoding="utf-8")
    return path


def test_the_lock_pins_all_but_the_project(tmp_path: Path, write_lock: Callable[[Path, Path], None]) -> None:
    write_lock(write_report(tmp_path, "3.11"), tmp_path / "lock")
    header, *pins = (tmp_path / "lock").read_text(encoding="utf-8").splitlines()
    assert header == (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()[0]
    assert pins == ["alembic==1.0", "Flask==1.0", "torch==1.0"]


def test_the_lock_is_not_written_for_another_python(tmp_path: Path, write_lock: Callable[[Path, Path], None]) -> None:
    with pytest.raises(SystemExit, match=r"Python 3.13 on linux: the image has 3.11"):
        write_lock(write_report(tmp_path, "3.13"), tmp_path / "lock")
    assert not (tmp_path / "lock").exists()
