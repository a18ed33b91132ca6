"""What it costs to have a search's tasks carried out by Ray instead of worker processes.

    python executors.py FOLDER [--rounds 3]

Each round is a whole search of scikit-learn's digits (preset `digits`, 12 individuals, 2 workers) by each executor, in
turn and in empty stores below FOLDER, and once what Ray by itself takes to start: to be imported and to have a place
for each worker. Printed are the seconds of each from command to result, their ratio without Ray's start, and whether
all found the same genotype.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

EXECUTORS = ("processes", "ray")
WORKERS = 2
STARTED = (
    "import ray; ray.init(address='local', num_cpus={workers}, include_dashboard=False, log_to_driver=False); "
    "ray.get([ray.remote(lambda: None).remote() for _ in range({workers})])"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    seconds: dict[str, list[float]] = {name: [] for name in (*EXECUTORS, "start of Ray")}
    genotypes = set()
    for turn in range(asked.rounds):
        for executor in EXECUTORS:
            needed, genotype = searched(executor, asked.folder / f"{executor}-{turn}")
            seconds[executor].append(needed)
            genotypes.add(genotype)
        seconds["start of Ray"].append(started())
        print(
            f"round {turn + 1}: " + ", ".join(f"{name} {each[-1]:.1f} s" for name, each in seconds.items()), flush=True
        )
    local, on_ray, start = (seconds[name] for name in (*EXECUTORS, "start of Ray"))
    whole = [ray / ours for ray, ours in zip(on_ray, local, strict=True)]
    rest = [(ray - begun) / ours for ray, begun, ours in zip(on_ray, start, local, strict=True)]
    print(f"ray / processes: {spread(whole)}; without the start of Ray {spread(rest)}; {len(genotypes)} genotype(s)")


def searched(executor: str, folder: Path) -> tuple[float, str]:
    """The seconds of one search there, and the genotype that it found."""
    folder.mkdir(parents=True)
    medarts = Path(sys.executable).with_name("medarts")
    command = [medarts, "search", "--executor", executor, "--workers", str(WORKERS), "--json"]
    began = time.perf_counter()
    done = subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return time.perf_counter() - began, json.dumps(json.loads(done.stdout)["best"]["genotype"])


def started() -> float:
    """The seconds that Ray takes to start and to have a process for each worker."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", STARTED.format(workers=WORKERS)], check=True, capture_output=True)
    return time.perf_counter() - began


def spread(ratios: list[float]) -> str:
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


if __name__ == "__main__":
    main()
