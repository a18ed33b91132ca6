"""Files that are whole or not there, and what a killed process leaves of one."""

from __future__ import annotations

from pathlib import Path

from factories import make_search_events
from journals import write_journal

from medarts_ops.journal.job import resumed_job
from medarts_ops.journal.kinds import SEARCH
from medarts_ops.whole_file import whole_file


def test_who_resumes_a_job_removes_what_killed_processes_left_half_written_and_nothing_else(tmp_path: Path) -> None:
    write_journal(tmp_path, "mine", make_search_events("mine"))
    folder = tmp_path / "mine"
    with whole_file(folder / "stage-0.npz") as file:
        file.write(b"whole")
    (folder / "checkpoints").mkdir()
    for name in (".stage-0.npz.77.partial", "checkpoints/.init-00.pt.78.partial"):
        (folder / name).write_bytes(b"ha")
    with resumed_job(SEARCH, folder, []):
        held = {f"{path.relative_to(folder)}" for path in folder.rglob("*")}
    assert held == {"journal.jsonl", "lock", "stage-0.npz", "checkpoints"}
