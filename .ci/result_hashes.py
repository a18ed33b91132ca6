"""Hashes of all that a few searches and an evaluation come to, for comparing one release with another bit by bit.

    python .ci/result_hashes.py WORK_FOLDER [IMAGES.npz]

It runs the `medarts` that lies beside this Python in an empty folder and reads the plain JSON that it leaves: α of
each individual at birth and after training, genotypes, rankings, histories, and the weights of an evaluation. What
clocks say is left out, and so is what a release may add: equal hashes are equal results. On one machine alone:
another processor rounds otherwise.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

MEDARTS = str(Path(sys.executable).with_name("medarts"))
CLOCKS = {"seconds", "images_per_second"}
EPOCH = (
    "epoch train_loss train_accuracy alpha_loss valid_loss valid_accuracy lr normal_skips reduce_skips "
    "max_mixture_normal max_mixture_reduce"
).split()
SMALL_STAGES = (
    "[{name: init, cells: 3, channels: 4, epochs: 2, images: 200, batch: 20, population: 4}, "
    "{name: final, cells: 4, channels: 4, epochs: 2, images: 300, batch: 20, survivors: 2, children: 2}]"
)


def main(work: Path, images: Path | None) -> None:
    """Print a line for each result."""
    work.mkdir(parents=True, exist_ok=True)
    for seed in (0, 1):
        name = f"digits-{seed}"
        medarts(work, "search", "--name", name, "--seed", str(seed))
        tell_search(work, name)
    medarts(work, "evaluate", "digits-0", "--name", "evaluation-0")
    tell_evaluation(work, "evaluation-0")
    if images is not None:
        options = ["--dataset", "npz", "--data", str(images.absolute()), "--stack", "3", "--workers", "2"]
        options += ["--set", "strategy.order=second", "--set", f"stages={SMALL_STAGES}"]
        medarts(work, "search", "--name", "second-order", *options)
        tell_search(work, "second-order")


def medarts(work: Path, *words: str) -> None:
    """Run the command in the work folder."""
    done = subprocess.run([MEDARTS, *words, "--no-pictures"], cwd=work, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"medarts {' '.join(words)} ended with {done.returncode}:\n{done.stderr}")


def tell_search(work: Path, name: str) -> None:
    """α and histories, genotypes, ranking of one search, from its journal."""
    lines = (work / "medarts-work" / name / "journal.jsonl").read_text(encoding="utf-8").splitlines()[1:]
    events = [json.loads(line)["event"] for line in lines]
    outcomes = [event["outcome"]["trained"] for event in events if event["kind"] == "individual_finished"]
    outcomes.sort(key=lambda trained: trained["individual"]["id"])
    stages = [event["result"] for event in events if event["kind"] == "stage_finished"]
    ranking = [
        [each["evaluated"]["trained"]["individual"]["id"], each["front"], each["crowding_distance"]]
        + [each["evaluated"]["objectives"]]
        for stage in stages
        for each in stage["ranked"]
    ]
    epochs = [[record for record in trained["history"]] for trained in outcomes]
    print(name, "births", digest([logits(trained["individual"]["alpha"]) for trained in outcomes]))
    print(name, "alpha", digest([logits(trained["alpha"]) for trained in outcomes]))
    print(name, "alpha of epochs", digest([[logits(each["alpha"]) for each in records] for records in epochs]))
    print(name, "history", digest([[[each[key] for key in EPOCH] for each in records] for records in epochs]))
    # One that is None has no effect, and is what later releases added.
    members = [trained["individual"]["hyperparameters"] for trained in outcomes]
    given = [{key: value for key, value in each.items() if value is not None} for each in members]
    print(name, "hyperparameters", digest(given))
    print(name, "parents", digest([trained["individual"]["parents"] for trained in outcomes]))
    print(name, "genotypes", digest([trained["genotype"] for trained in outcomes]))
    print(name, "ranking", digest(ranking))


def logits(alpha: dict[str, Any]) -> list[Any]:
    """The logits of both cells."""
    return [alpha[cell]["op_logits"] for cell in ("normal", "reduce")]


def tell_evaluation(work: Path, name: str) -> None:
    """Weights and history of one evaluation."""
    folder = work / "medarts-work" / name
    weights = torch.load(folder / "weights.pt", weights_only=True)
    print(name, "weights", hashlib.sha256(b"".join(tensor_bytes(weights))).hexdigest()[:16])
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))["result"]
    # One that is None is of an epoch that was measured otherwise, which earlier releases did not know.
    history = [
        {key: value for key, value in epoch.items() if key not in CLOCKS and value is not None}
        for epoch in result["history"]
    ]
    print(name, "history", digest(history))


def tensor_bytes(weights: dict[str, torch.Tensor]) -> Iterator[bytes]:
    """Names and bits, in order."""
    for key, tensor in weights.items():
        yield key.encode()
        yield tensor.numpy().tobytes()


def digest(data: Any) -> str:
    """Sixteen hex digits of plain data."""
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
