"""What a person sees of the loading of images: the first line at once, little without a terminal, a bar on one."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner
from PIL import Image
from refusals import VARIABLES, invoke
from rich.console import Console

from medarts_ops.cli.loading import LoadingRows
from medarts_ops.cli.main import medarts
from medarts_ops.cli.progress import ProgressBoard
from medarts_ops.data.loading import LoadingProgress

STAGE = "stages=[{name: init, cells: 3, channels: 2, epochs: 1, images: 1.0, batch: 8, population: 1}]"
SEARCH = ["--set", STAGE, "--set", "derived={cells: 3, channels: 2, epochs: 1, least_steps: 1, batch: 8}"]
SMALL = ["--set", "runtime.threads=1", "--set", "runtime.device=cpu", "--set", "runtime.workers=1"]


def shown(seconds_a_file: float, total: int, *, is_terminal: bool) -> str:
    """What is written while so many files are read, each in so much time."""
    stream = io.StringIO()
    now = 0.0
    board = ProgressBoard(Console(file=stream, force_terminal=is_terminal, width=100, color_system=None))
    rows = LoadingRows(board, clock=lambda: now)
    with board:
        for done in range(total + 1):
            rows.notify(LoadingProgress("images read", done, total))
            now += seconds_a_file
    return stream.getvalue()


def test_what_takes_no_two_seconds_is_no_line() -> None:
    assert shown(0.01, 100, is_terminal=False) == ""


def test_without_a_terminal_there_is_a_line_after_two_seconds_then_every_fifteen_and_one_at_the_end() -> None:
    assert shown(1.0, 40, is_terminal=False).splitlines() == [
        "images read 3/40: 1 file a second, 37 s left",
        "images read 19/40: 1 file a second, 21 s left",
        "images read 35/40: 1 file a second, 5 s left",
        "40 images read in 40 s, 1 file a second",
    ]


def test_what_takes_seconds_each_has_no_speed() -> None:
    assert shown(4.0, 5, is_terminal=False).splitlines() == [
        "images read 1/5: 16 s left",
        "5 images read in 20 s",
    ]


def test_on_a_terminal_there_is_a_bar_with_speed_and_time_left_that_goes_at_the_end() -> None:
    written = shown(0.25, 20, is_terminal=True)
    assert "1/20 4 files a second, 5 s left" in written
    assert "\n20 images read in 5 s, 4 files a second" in written.replace("\r", "\n").replace("\x1b[2K", "")


def photos_in(folder: Path) -> Path:
    for name in ("cats", "dogs"):
        (folder / "photos" / name).mkdir(parents=True)
        for number in range(6):
            Image.new("L", (16, 24), 8 * number).save(folder / "photos" / name / f"{number}.png")
    (folder / "photos" / "cats" / "5.png").write_bytes(b"torn")
    return folder / "photos"


def test_a_search_takes_cache_fit_and_skipping_to_its_evaluation_and_says_what_is_left_out(here: Path) -> None:
    photos = photos_in(here)
    settings = ["--set", "dataset.fit=pad", "--set", "dataset.skip_unreadable=true", "--resolution", "16"]
    words = ["--dataset", "folder", "--data", str(photos), "--cache", "kept", *settings, *SMALL, *SEARCH]
    found = invoke("search", "--name", "found", *words)
    assert found.exit_code == 0, found.stderr
    left_out = "1 image of 12 left out, which can't be read: 'cats/5.png' (cannot identify image file)"
    lines = found.stderr.splitlines()
    assert lines[0] == f"reading images below {str(photos)!r}" and left_out in lines
    (logged,) = here.glob("mlruns/**/dataset.json")
    assert left_out in json.loads(logged.read_text(encoding="utf-8"))["remarks"]
    (kept,) = (here / "kept").iterdir()
    made = kept.stat().st_mtime_ns
    network = ["cells=3", "channels=2", "epochs=1", "auxiliary.weight=0", "runtime.threads=1", "runtime.device=cpu"]
    trained = CliRunner(env=dict.fromkeys(VARIABLES)).invoke(
        medarts, ["-v", "evaluate", "found", "--name", "trained", *(f"--set={each}" for each in network)]
    )
    assert trained.exit_code == 0 and left_out in trained.stderr, trained.stderr
    assert [file.stat().st_mtime_ns for file in (here / "kept").iterdir()] == [made]
    journal = Path("medarts-work", "trained", "journal.jsonl").read_text(encoding="utf-8")
    assert '"fit":"pad","skip_unreadable":true' in journal.replace(" ", "") and str(here / "kept") in journal


def test_the_first_line_comes_before_torch_is_imported(tmp_path: Path) -> None:
    code = (
        "import sys, click; from medarts_ops.cli.loading import say_what_is_read as say; "
        "from medarts_ops.cli import search; from medarts_ops.config import DatasetConfig; "
        "say(DatasetConfig(name='folder', data='photos')); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("False\n", "reading images below 'photos'\n")


def test_finding_a_job_says_a_line_before_anything_slow_is_imported(tmp_path: Path) -> None:
    code = (
        "import sys; from medarts_ops.cli import evaluate, resume; from medarts_ops.cli.loading import looking_for\n"
        "with looking_for('mine'): print({'torch', 'mlflow'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("set()\n", "looking for mine\n")
