"""Free memory within the limits of control groups."""

from __future__ import annotations

import resource
from pathlib import Path

import psutil
import pytest

from medarts_ops.training import free_memory
from medarts_ops.training.free_memory import free_bytes, room_of_addresses, rooms_of_groups


def write(folder: Path, files: dict[str, object]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_text(f"{content}\n")


@pytest.fixture
def process(tmp_path: Path) -> Path:
    return tmp_path / "cgroup"


def test_a_group_leaves_its_limit_less_what_is_used_and_not_kept_for_files(tmp_path: Path, process: Path) -> None:
    process.write_text("0::/user/job\n")
    write(tmp_path, {"memory.current": 9})  # the root has no limit
    write(tmp_path / "user", {"memory.max": "max", "memory.current": 900, "memory.stat": "anon 1"})
    job = {"memory.max": 1000, "memory.current": 700, "memory.stat": "anon 500\ninactive_file 150"}
    write(tmp_path / "user" / "job", job)
    assert list(rooms_of_groups(process, tmp_path)) == [450]


def test_a_group_above_counts_as_well(tmp_path: Path, process: Path) -> None:
    process.write_text("0::/user/job\n")
    write(tmp_path / "user", {"memory.max": 500, "memory.current": 480, "memory.stat": "inactive_file 0"})
    write(tmp_path / "user" / "job", {"memory.max": 1000, "memory.current": 100, "memory.stat": "inactive_file 0"})
    assert list(rooms_of_groups(process, tmp_path)) == [20, 900]


def test_in_a_container_the_limit_stands_at_the_root_whatever_the_path_says(tmp_path: Path, process: Path) -> None:
    process.write_text("0::/docker/of/the/host\n")
    write(tmp_path, {"memory.max": 300, "memory.current": 100, "memory.stat": "inactive_file 0"})
    assert list(rooms_of_groups(process, tmp_path)) == [200]


def test_groups_of_the_first_version_have_names_of_their_own(tmp_path: Path, process: Path) -> None:
    process.write_text("5:cpu,cpuacct:/job\n4:memory:/job\n0::/\n")
    files = {"memory.limit_in_bytes": 1000, "memory.usage_in_bytes": 800, "memory.stat": "total_inactive_file 100"}
    write(tmp_path / "memory" / "job", files)
    assert list(rooms_of_groups(process, tmp_path)) == [300]


def test_more_used_than_allowed_leaves_nothing(tmp_path: Path, process: Path) -> None:
    process.write_text("0::/\n")
    write(tmp_path, {"memory.max": 100, "memory.current": 160, "memory.stat": "inactive_file 0"})
    assert list(rooms_of_groups(process, tmp_path)) == [0]


def test_without_groups_nothing_limits(tmp_path: Path, process: Path) -> None:
    assert list(rooms_of_groups(process, tmp_path)) == []


def test_free_is_what_the_machine_has_or_less_where_a_group_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    available = psutil.virtual_memory().available
    monkeypatch.setattr(free_memory, "rooms_of_groups", lambda: iter(()))
    assert free_bytes("cpu") == pytest.approx(available, rel=0.5)
    monkeypatch.setattr(free_memory, "rooms_of_groups", lambda: iter([10**15, 7]))
    assert free_bytes("cpu") == 7


def test_a_limit_of_the_process_leaves_what_it_has_no_addresses_for_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(room_of_addresses()) == [], "these tests run without a limit"
    used = psutil.Process().memory_info().vms
    monkeypatch.setattr(
        resource, "getrlimit", lambda which: (used + 2**28, -1) if which == resource.RLIMIT_AS else None
    )
    assert list(room_of_addresses()) == [pytest.approx(2**28, abs=2**26)]
    assert free_bytes("cpu") == pytest.approx(2**28, abs=2**26)
    monkeypatch.setattr(resource, "getrlimit", lambda which: (1, -1))
    assert free_bytes("cpu") == 0
