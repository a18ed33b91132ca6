"""How much memory is free: of a GPU, or of this machine within the limits of control groups and of `ulimit`."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import torch

GROUPS = Path("/sys/fs/cgroup")

_FILES = {
    "2": ("memory.max", "memory.current", "inactive_file"),
    "1": ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}
"""By the version of control groups: the limit, what is used of it, and what of that is only kept for files."""


def free_bytes(*devices: str) -> int:
    """Free memory of a device, `cpu` or `cuda:N`, what torch's allocator keeps in reserve included.

    Of several cards that of the one which has least.
    """
    return min(map(_free_bytes, devices))


def _free_bytes(device: str) -> int:
    if device != "cpu":
        module = torch.get_device_module(device)
        module.empty_cache()
        return int(module.mem_get_info(device)[0])
    import psutil

    return min([int(psutil.virtual_memory().available), *rooms_of_groups(), *room_of_addresses()])


def rooms_of_groups(process: Path = Path("/proc/self/cgroup"), groups: Path = GROUPS) -> Iterator[int]:
    """What each control group that this process is in, and each above it, leaves free; none where no group limits."""
    try:
        lines = process.read_text().splitlines()
    except OSError:  # no Linux
        return
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if number == "0":
            version, root = "2", groups
        elif "memory" in controllers.split(","):
            version, root = "1", groups / "memory"
        else:
            continue
        # In a container the path is often that of the host, and the group stands at the root.
        below = [root / Path(*parts[: n + 1]) for parts in [Path(path.lstrip("/")).parts] for n in range(len(parts))]
        for folder in (root, *below):
            yield from _room(folder, version)


def room_of_addresses() -> Iterator[int]:
    """What `ulimit -v`, as batch systems set it, leaves to this process; nothing where it is not set."""
    import psutil

    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    if most != resource.RLIM_INFINITY:
        yield max(0, most - int(psutil.Process().memory_info().vms))


def _room(folder: Path, version: str) -> Iterator[int]:
    limit, used, kept = _FILES[version]
    try:
        most = (folder / limit).read_text().strip()
        if most != "max":
            stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
            yield max(0, int(most) - int((folder / used).read_text()) + int(stat.get(kept, 0)))
    except (OSError, ValueError):  # the root has no limit, or it is no group of this mount
        return
