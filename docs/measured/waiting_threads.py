"""How OpenMP's threads should wait for each other, on a machine of one's own and beside others.

    python waiting_threads.py [--busy 2] [--rounds 5] [--variants 'threads=1' 'GOMP_SPINCOUNT=1000' …]

Times a search step (4 cells, 16 channels, 64 images of 16×16, first order) and an evaluation step (DARTS_V2, 8 cells,
16 channels, 64 images of 32×32) in a process for each variant. They take turns, step by step, so that all see the same
machine; `--busy` has so many endless loops compute beside them. A variant is an environment, of a process that takes a
thread for each core unless it says otherwise. Printed are median seconds and their range, and how many cores others
took meanwhile.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import psutil

SPINS = (1_000, 10_000, 20_000, 30_000, 100_000)
VARIANTS = ("", "threads=1", "OMP_WAIT_POLICY=PASSIVE", *(f"GOMP_SPINCOUNT={spins}" for spins in SPINS))
KINDS = ("search", "evaluation")
WARMING_UP = 2


class Timed(NamedTuple):
    """A step: its seconds, and the cores that neither it nor the loops had."""

    seconds: float
    others: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--busy", type=int, default=0, help="endless loops beside the steps")
    parser.add_argument("--rounds", type=int, default=5, help="timed steps of each")
    parser.add_argument("--variants", nargs="*", default=VARIANTS)
    parser.add_argument("--threads", type=int, help="be the process of a variant")
    asked = parser.parse_args()
    if asked.threads:
        answer(asked.threads)
    else:
        measure(asked.variants, asked.rounds, asked.busy)


def answer(threads: int) -> None:
    """Carry out the steps that stdin names, and tell the seconds of each."""
    steps = prepared_steps(threads)
    for line in sys.stdin:
        began = time.perf_counter()
        steps[line.strip()]()
        print(time.perf_counter() - began, flush=True)


def prepared_steps(threads: int) -> dict[str, Callable[[], object]]:
    from medarts_ops.bench.evaluation_step import product_training_step
    from medarts_ops.configs.loader import load_evaluate_config, load_search_config
    from medarts_ops.data.dataset import ImageShape
    from medarts_ops.resolving import resolve_config_alone, resolve_evaluate_config
    from medarts_ops.training.trial_steps import step_of_search

    options: dict[str, Any] = {"runtime": {"device": "cpu", "threads": threads}}
    search = resolve_config_alone(load_search_config("cifar10", options=options), (16, 16))
    stage = search.stages[0].model_copy(update={"cells": 4, "channels": 16, "batch": 64})
    asked = load_evaluate_config("cifar10", options=options).model_copy(
        update={"cells": 8, "channels": 16, "batch": 64}
    )
    size = ImageShape.square(16)
    evaluation = resolve_evaluate_config(asked, (32, 32))
    return {"search": step_of_search(search, stage, size), "evaluation": product_training_step(evaluation, 32)}


def measure(variants: Sequence[str], rounds: int, busy: int) -> None:
    """Print a line for each step and variant."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(busy)]
    at_work = {variant: started(variant) for variant in variants}
    found: dict[tuple[str, str], list[Timed]] = {(kind, variant): [] for kind in KINDS for variant in variants}
    try:
        for turn in range(WARMING_UP + rounds):
            for (kind, variant), steps in found.items():
                step = timed(at_work[variant], kind, loops)
                steps += [step] if turn >= WARMING_UP else []
    finally:
        for process in (*loops, *at_work.values()):
            process.kill()
    print(f"{busy} loops beside, {rounds} rounds")
    for (kind, variant), steps in found.items():
        seconds = [step.seconds for step in steps]
        spread = f"{statistics.median(seconds):.2f} s, {min(seconds):.2f} to {max(seconds):.2f}"
        others = statistics.median(step.others for step in steps)
        print(f"{kind:11} {variant or 'as torch has it':25} {spread:25} others {others:.2f}")


def started(variant: str) -> subprocess.Popen[str]:
    environment = dict(each.split("=") for each in variant.split())
    threads = environment.pop("threads", str(len(os.sched_getaffinity(0))))
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    return subprocess.Popen(
        [sys.executable, __file__, "--threads", threads],
        env=clean | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def timed(process: subprocess.Popen[str], kind: str, loops: Sequence[subprocess.Popen[bytes]]) -> Timed:
    """One step in that process."""
    assert process.stdin is not None and process.stdout is not None
    ours = [process.pid, *(loop.pid for loop in loops)]
    before = seconds_of_others(ours)
    process.stdin.write(f"{kind}\n")
    process.stdin.flush()
    seconds = float(process.stdout.readline())
    return Timed(seconds, (seconds_of_others(ours) - before) / seconds)


def seconds_of_others(ours: Sequence[int]) -> float:
    """What this machine's cores have spent on anybody else."""
    machine = psutil.cpu_times()
    busy = sum(machine) - machine.idle - machine.iowait - machine.guest - machine.guest_nice
    return busy - sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in ours)


if __name__ == "__main__":
    main()
