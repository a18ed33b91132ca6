"""What a step frees stays with the process for the next one, and goes back as usual afterwards."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest
import torch

from medarts_ops.training import kept_memory as module
from medarts_ops.training.kept_memory import give_back, kept_memory

CPU = torch.device("cpu")

needs_glibc = pytest.mark.skipif(module._glibc() is None, reason="of glibc alone")

PROGRAM = """
import resource, sys, torch
from medarts_ops.training.kept_memory import give_back, kept_memory

def faults_and_pages():
    with open("/proc/self/statm") as statm:
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt, int(statm.read().split()[1])

def step():
    held = [torch.ones(2**22) for _ in range(12)]  # of 16 MiB, and together more than glibc keeps by itself
    return float(held[-1].sum())

with kept_memory(torch.device("cpu")):
    for _ in range(5):  # until the heap has room for all
        step()
    before = faults_and_pages()
    step()
    within = faults_and_pages()
give_back(torch.device("cpu"))
after = faults_and_pages()
step()
print(within[0] - before[0], before[1] - after[1], faults_and_pages()[0] - after[0])
"""


def of_program(**variables: str) -> list[int]:
    """Faults of a later step, pages given back after it, and faults of one after that."""
    said = (*module._VARIABLES, "GLIBC_TUNABLES")
    environment = {name: value for name, value in os.environ.items() if name not in said} | variables
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, env=environment)
    return [int(word) for word in done.stdout.split()]


@needs_glibc
def test_a_settled_step_takes_no_new_pages_and_it_all_goes_back_in_the_end() -> None:
    pages = 12 * 2**24 // resource.getpagesize()
    within, given_back, afterwards = of_program()
    assert within < 0.01 * pages
    assert given_back > 0.9 * pages
    assert afterwards > 0.5 * pages  # as glibc does by itself


@needs_glibc
def test_what_the_user_says_of_the_allocator_stays() -> None:
    within, _, _ = of_program(MALLOC_MMAP_MAX_="65536")
    assert within > 2**24 // resource.getpagesize()


@pytest.mark.parametrize(
    ("said", "stays"),
    [
        ({"MALLOC_TRIM_THRESHOLD_": "1"}, True),
        ({"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1:glibc.malloc.mmap_max=7"}, True),
        ({"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}, False),
        ({"MALLOC_ARENA_MAX": "2"}, False),
    ],
)
def test_only_what_it_would_set_itself_keeps_it_out(said: dict[str, str], stays: bool) -> None:
    assert module._is_said_otherwise(said) is stays


@pytest.mark.parametrize("device", ["cuda", "meta"])
def test_other_devices_leave_it_alone(monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    class Unused:
        def __getattr__(self, name: str) -> None:
            pytest.fail(f"{name} was called")

    monkeypatch.setattr(module, "_glibc", Unused)
    with kept_memory(torch.device(device), {}):
        pass
    give_back(torch.device(device), {})


def test_without_glibc_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.ctypes, "CDLL", lambda _: object())  # another library, which lacks all
    with kept_memory(CPU, {}):
        assert torch.ones(3).sum() == 3


@needs_glibc
def test_after_an_error_memory_goes_back_as_usual_too(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, ...]] = []

    class Library:
        def mallopt(self, *words: int) -> None:
            told.append(("mallopt", *map(str, words)))

    monkeypatch.setattr(module, "_glibc", Library)
    with pytest.raises(ZeroDivisionError), kept_memory(CPU, {}):
        raise ZeroDivisionError
    assert told[-2:] == [("mallopt", "-1", "-1"), ("mallopt", "-1", str(64 * 2**20))]
