"""Real processes whose stdout or stderr is closed, full, without a reader, or of an encoding that lacks letters."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from medarts_ops.cli.main import OUTPUT_LOST
from medarts_ops.cli.streams import LastingStream

STAGES = "stages=[{population: 2, epochs: 1, cells: 3, channels: 2, images: 40, batch: 20}]"
SEARCH = f"search --set '{STAGES}' --set runtime.workers=1 --set runtime.threads=1"


def medarts(words: str, redirected: str = "", encoding: str = "utf-8") -> subprocess.CompletedProcess[bytes]:
    """Calls the command in a shell that redirects its streams, an encoding for those."""
    code = "from medarts_ops.cli.main import main; main()"
    line = f"{sys.executable} -c '{code}' {words} {redirected}"
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    return subprocess.run(["bash", "-c", line], capture_output=True, timeout=120, check=False, env=environment)


def only_search(here: Path) -> tuple[str, str]:
    """Run id and status of the one search in the store of the current folder."""
    with closing(sqlite3.connect(here / "mlflow.db")) as store:
        query = "select r.run_uuid, status from runs r join tags t using (run_uuid) where t.key = 'medarts.kind'"
        [(run_id, status)] = store.execute(f"{query} and t.value = 'search'").fetchall()
    return run_id, status


def test_a_search_ends_well_with_full_streams_and_its_exit_code_says_that_nothing_was_printed(here: Path) -> None:
    done = medarts(SEARCH, ">/dev/full 2>/dev/full")
    assert done.returncode == OUTPUT_LOST
    assert only_search(here)[1] == "FINISHED"


def test_a_result_is_printed_in_the_letters_that_stdout_has_though_stderr_is_closed(here: Path) -> None:
    done = medarts(SEARCH, "2>&-", encoding="latin-1")
    text = done.stdout.decode("latin-1")
    assert (done.returncode, done.stderr) == (0, b"")
    assert only_search(here)[0] in text and r"\u221e" in text


@pytest.mark.parametrize(("redirected", "reason"), [(">&-", "Bad file descriptor"), (">/dev/full", "No space left")])
def test_a_result_that_can_not_be_printed_is_one_line_and_an_exit_code(redirected: str, reason: str) -> None:
    done = medarts("genotypes", redirected)
    assert done.returncode == OUTPUT_LOST
    assert done.stderr.startswith(b"error: the result can't be written to stdout: " + reason.encode())
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("redirected", ["2>&-", "2>/dev/full", "<&-"])
def test_what_is_wrong_with_other_streams_changes_no_result(redirected: str) -> None:
    done = medarts("genotypes DARTS_V2", redirected)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"Genotype(")


@pytest.mark.parametrize("redirected", ["2>&-", ">&- 2>&-", "2>/dev/full"])
def test_an_error_that_can_not_be_told_keeps_its_exit_code(redirected: str) -> None:
    assert medarts("genotypes DARTS_V3", redirected).returncode == 1


def test_a_reader_that_has_enough_is_no_error() -> None:
    done = medarts("config show", "| head -1; exit ${PIPESTATUS[0]}")
    assert (done.returncode, done.stderr, done.stdout.count(b"\n")) == (0, b"", 1)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_help_and_tables_come_in_any_encoding(encoding: str) -> None:
    done = medarts("config show", encoding=encoding)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode(encoding).startswith("setting")
    assert medarts("--help", encoding=encoding).returncode == 0


def test_json_is_the_same_in_every_encoding() -> None:
    told = [medarts("config schema", encoding=encoding).stdout for encoding in ("ascii", "utf-8")]
    assert told[0] == told[1] and json.loads(told[0])


def test_nothing_is_opened_in_the_place_of_a_closed_stream(here: Path) -> None:
    program = (
        "import os; from medarts_ops.cli.streams import lasting_streams; lasting_streams(); "
        "kept = os.open('database', os.O_CREAT | os.O_RDWR); os.system('echo a line'); os._exit(kept > 2)"
    )
    subprocess.run(["bash", "-c", f'{sys.executable} -c "{program}" >&- 2>&- <&-'], check=False, timeout=60)
    assert (here / "database").read_bytes() == b""


def test_a_pipe_that_does_not_wait_loses_nothing() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    program = "import sys, time; time.sleep(0.2); print(len(sys.stdin.read()))"
    with subprocess.Popen([sys.executable, "-c", program], stdin=reader, stdout=subprocess.PIPE) as reading:
        os.close(reader)
        stream = LastingStream(None, writer)
        stream.write("x" * 1_000_000)
        assert stream.failure() is None
        os.close(writer)
        assert reading.communicate()[0].strip() == b"1000000"
