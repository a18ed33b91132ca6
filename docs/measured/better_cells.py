"""Are the cells better that a search finds by what genotypes can do? Five ways to come to a cell, over seeds.

    python better_cells.py work FOLDER IMAGES.npz [--seeds 5]    # start it once for each core; it goes on where it was
    python better_cells.py collect FOLDER RESULTS.json
    python better_cells.py table RESULTS.json ORACLE_FOLDER

For each seed: `random`, a random genotype; `largest`, that of most parameters of as many random ones as the search
trained; `darts`, plain first-order DARTS of one individual, for as many epochs as the search costs; `paper`, the
paper's choice among the search's last stage, the highest acc_valid after the last epoch; `ours`, what the search found.
All are trained from scratch alike (`evaluate:` of better_cells.yaml); an oracle, which no search sees, scores them.
"""

from __future__ import annotations

import argparse
import fcntl
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from medarts_ops.bench.estimate import SearchEstimate
from medarts_ops.cli.bench import estimate_of
from medarts_ops.config import EvaluateConfig, SearchConfig, StageConfig
from medarts_ops.configs.loader import load_evaluate_config, load_search_config
from medarts_ops.evaluation import resume_evaluation, run_evaluation
from medarts_ops.individual import EvaluatedIndividual, EvaluationResult, SearchResult
from medarts_ops.journal.job import kind_in, read_journal
from medarts_ops.journal.kinds import EVALUATION, SEARCH
from medarts_ops.networks.counting import count_parameters
from medarts_ops.observers import EvaluationFinished, GenotypeTrained, IndividualFinished, SearchFinished, SearchStarted
from medarts_ops.resolving import resolve_search_config
from medarts_ops.search import resume_search, run_search
from medarts_ops.space.genotype import Genotype
from medarts_ops.space.random_genotype import random_genotypes

SETTINGS = Path(__file__).with_name("better_cells.yaml")
ARMS = ("random", "largest", "darts", "paper", "ours")
DARTS_STAGE = {"name": "darts", "cells": 8, "channels": 8, "images": 4000, "batch": 64, "population": 1}


class Measured(NamedTuple):
    """What a finished search says: the result, every individual as it was measured, its genotypes' short trainings."""

    result: SearchResult
    individuals: list[EvaluatedIndividual]
    derived_seconds: list[float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True)
    work_ = verbs.add_parser("work")
    work_.add_argument("folder", type=Path)
    work_.add_argument("images", type=Path)
    work_.add_argument("--seeds", type=int, default=5)
    work_.set_defaults(carry_out=work)
    collect_ = verbs.add_parser("collect")
    collect_.add_argument("folder", type=Path)
    collect_.add_argument("results", type=Path)
    collect_.set_defaults(carry_out=collect)
    table_ = verbs.add_parser("table")
    table_.add_argument("results", type=Path)
    table_.add_argument("oracle", type=Path)
    table_.set_defaults(carry_out=table)
    asked = parser.parse_args()
    asked.carry_out(asked)


def work(asked: argparse.Namespace) -> None:
    """Carry out what nobody else is at, until nothing is left: searches, then trainings of what was found."""
    asked.folder.mkdir(parents=True, exist_ok=True)
    seeds = range(asked.seeds)
    jobs = [(f"search-{seed}", partial(search, asked, seed)) for seed in seeds]
    for arms in (("ours", "paper", "largest", "random"), ("darts",)):
        if "darts" in arms:
            jobs += [(f"darts-{seed}", partial(darts, asked, seed)) for seed in seeds]
        jobs += [(f"{arm}-{seed}-trained", partial(trained, asked, arm, seed)) for seed in seeds for arm in arms]
    for name, job in jobs:
        with only_here(asked.folder / f"{name}.lock") as free:
            if free:
                print(name, job(), flush=True)


@contextmanager
def only_here(path: Path) -> Iterator[bool]:
    """Whether no other process is at the job; the system takes the lock away from one that died."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def settings_of(asked: argparse.Namespace, seed: int) -> tuple[SearchConfig, EvaluateConfig]:
    options = {"seed": seed, "dataset": {"data": str(asked.images)}}
    return (
        load_search_config(config_file=SETTINGS, options=options),
        load_evaluate_config(config_file=SETTINGS, options=options),
    )


def run_or_resume(config: SearchConfig, folder: Path) -> str:
    if kind_in(folder) is None:
        run_search(config, folder)
    elif read_journal(folder, SEARCH).find(SearchFinished) is None:
        resume_search(folder)
    return "finished"


def search(asked: argparse.Namespace, seed: int) -> str:
    config, _ = settings_of(asked, seed)
    return run_or_resume(config, asked.folder / f"search-{seed}")


def darts(asked: argparse.Namespace, seed: int) -> str:
    """Plain DARTS with all its own settings, for as many epochs as cost what the search did."""
    if finished_search(asked.folder, seed) is None:
        return "waits for its search"
    config = plain_darts(settings_of(asked, seed)[0], darts_epochs(asked))
    return run_or_resume(config, asked.folder / f"darts-{seed}")


def plain_darts(config: SearchConfig, epochs: int) -> SearchConfig:
    """The search's seed, images and machine; all else is the model's defaults, which are DARTS's."""
    stage = StageConfig.model_validate(DARTS_STAGE | {"epochs": epochs})
    return SearchConfig(seed=config.seed, dataset=config.dataset, runtime=config.runtime, stages=(stage,))


def darts_epochs(asked: argparse.Namespace) -> int:
    """Epochs of plain DARTS that cost as much as a search, by steps of both that are timed at one time, once for all.

    Of the genotypes that a search may train, those count that the finished ones did train, in the mean.
    """
    kept = asked.folder / "cost.json"
    with kept.with_suffix(".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if not kept.exists():
            kept.write_text(json.dumps(cost_of_search(asked)))
    epochs: int = json.loads(kept.read_text())["epochs"]
    return epochs


def cost_of_search(asked: argparse.Namespace) -> dict[str, float]:
    config = settings_of(asked, 0)[0]
    whole, once = (estimated(each) for each in (config, plain_darts(config, 1)))
    found = [finished_search(asked.folder, seed) for seed in range(asked.seeds)]
    counts = [len(each.derived_seconds) for each in found if each is not None]
    assert whole.genotypes is not None
    supernets = sum(stage.hours for stage in whole.stages)
    alone = whole.genotypes.hours / whole.genotypes.genotypes * float(np.mean(counts))
    cost = {"supernet_hours": supernets, "genotype_hours": alone, "darts_epoch_hours": once.hours}
    return cost | {"epochs": round((supernets + alone) / once.hours)}


def estimated(config: SearchConfig) -> SearchEstimate:
    resolved, data = resolve_search_config(config)
    return estimate_of(resolved, data, 10)


def trained(asked: argparse.Namespace, arm: str, seed: int) -> str:
    """Train what the arm found from scratch, as all others."""
    genotype = found_by(arm, asked.folder, seed)
    if genotype is None:
        return "waits for its search"
    folder, (_, config) = asked.folder / f"{arm}-{seed}-trained", settings_of(asked, seed)
    if kind_in(folder) is None:
        result = run_evaluation(config, genotype, folder=folder)
    else:
        result = resume_evaluation(folder)
    return f"test error {100 * result.test_error:.2f} %"


def found_by(arm: str, folder: Path, seed: int) -> Genotype | None:
    """The genotype that an arm comes to; None while its search goes on."""
    measured = finished_search(folder, seed)
    if arm == "darts":
        plain = finished_search(folder, seed, "darts")
        return None if plain is None else plain.result.best.trained.genotype
    if measured is None:
        return None
    if arm == "ours":
        return measured.result.best.trained.genotype
    if arm == "paper":
        return papers_choice(measured)
    drawn = random_genotypes(max(1, len(measured.derived_seconds)), seed=1000 + seed)
    return drawn[0] if arm == "random" else max(drawn, key=full_size)


def papers_choice(measured: Measured) -> Genotype:
    """Of the last stage's individuals that of the highest acc_valid after its last epoch: no other dominates it."""
    stage = len(measured.result.stages) - 1
    last = [one.trained for one in measured.individuals if one.trained.individual.stage == stage]
    best = max(last, key=lambda one: one.history[-1].valid_accuracy)
    genotype = best.history[-1].genotype
    assert genotype is not None
    return genotype


def full_size(genotype: Genotype) -> int:
    return count_parameters(genotype, cells=20, channels=36, n_classes=10, in_channels=3)


def finished_search(folder: Path, seed: int, kind: str = "search") -> Measured | None:
    if kind_in(folder / f"{kind}-{seed}") is None:
        return None
    journal = read_journal(folder / f"{kind}-{seed}", SEARCH)
    finished = journal.find(SearchFinished)
    if finished is None:
        return None
    events = [event for _, event in journal.events()]
    outcomes = [event.outcome for event in events if isinstance(event, IndividualFinished)]
    alone = [event.outcome.seconds for event in events if isinstance(event, GenotypeTrained)]
    return Measured(finished.result, [each for each in outcomes if isinstance(each, EvaluatedIndividual)], alone)


def collect(asked: argparse.Namespace) -> None:
    """Write what there is so far as one file: what each arm found and came to, and each search's individuals."""
    rows, searches = [], []
    for lock in sorted(asked.folder.glob("*-trained.lock")):
        arm, seed, _ = lock.stem.split("-")
        folder = lock.with_suffix("")
        finished = read_journal(folder, EVALUATION).find(EvaluationFinished) if kind_in(folder) else None
        if finished is not None:
            rows.append({"arm": arm, "seed": int(seed)} | row_of(finished.result))
    for folder in sorted(path for path in asked.folder.glob("search-*") if path.is_dir()):
        measured = finished_search(asked.folder, int(folder.name.split("-")[1]))
        started = read_journal(folder, SEARCH).find(SearchStarted)
        if measured is not None and started is not None:
            searches.append({"seed": started.config.seed} | search_of(measured))
    cost = asked.folder / "cost.json"
    data = {"cost": json.loads(cost.read_text()) if cost.exists() else None, "networks": rows, "searches": searches}
    asked.results.write_text(json.dumps(data, indent=1) + "\n")


def row_of(result: EvaluationResult) -> dict[str, Any]:
    return {
        "genotype": cells_of(result.genotype),
        "test_error": result.test_error,
        "test_loss": result.history[-1].test_loss,
        "params": full_size(result.genotype),
        "seconds": round(result.seconds),
    }


def search_of(measured: Measured) -> dict[str, Any]:
    return {
        "found": measured.result.best.id,
        "why": measured.result.why,
        "seconds": round(measured.result.seconds),
        "genotypes_trained": len(measured.derived_seconds),
        "genotype_seconds": round(sum(measured.derived_seconds)),
        "individuals": [
            {
                "id": one.id,
                "origin": one.trained.individual.origin,
                "taken_from": one.trained.taken_from,
                "alpha_lr": one.trained.individual.hyperparameters.alpha_lr,
                "objectives": one.objectives,
                "genotype": cells_of(one.trained.genotype),
                "epochs": [
                    {"genotype": cells_of(each.genotype), "valid_accuracy": each.valid_accuracy}
                    for each in one.trained.history
                    if each.genotype is not None
                ],
            }
            for one in measured.individuals
        ],
    }


def cells_of(genotype: Genotype) -> dict[str, list[list[Any]]]:
    """DARTS's two lists of [operation, input], which the oracle reads."""
    return {cell: [list(edge) for edge in getattr(genotype, cell)] for cell in ("normal", "reduce")}


def table(asked: argparse.Namespace) -> None:
    """Print the arms' means with standard errors, and paired differences, as Markdown."""
    percentile = oracle_of(asked.oracle)
    rows = json.loads(asked.results.read_text())["networks"]
    columns = {
        arm: {
            row["seed"]: (
                100 * row["test_error"],
                row["test_loss"],
                percentile(row["genotype"]),
                sum(name == "skip_connect" for name, _ in row["genotype"]["normal"]),
                row["params"] / 1e6,
            )
            for row in rows
            if row["arm"] == arm
        }
        for arm in ARMS
    }
    print("| way | seeds | test error, % | test loss | oracle's percentile | skips, normal cell | parameters, M |")
    print("|:---|---:|---:|---:|---:|---:|---:|")
    for arm, by_seed in columns.items():
        if by_seed:
            values = np.array(list(by_seed.values()))
            print(f"| {arm} | {len(by_seed)} | " + " | ".join(mean_of(column) for column in values.T) + " |")
    print("\n| paired by seed | test error, points | oracle's percentile |\n|:---|---:|---:|")
    for one, other in (
        ("paper", "darts"),
        ("ours", "paper"),
        ("ours", "largest"),
        ("ours", "darts"),
        ("ours", "random"),
    ):
        both = sorted(columns[one].keys() & columns[other].keys())
        if both:
            gap = np.array([np.subtract(columns[one][seed], columns[other][seed]) for seed in both])
            print(f"| {one} - {other} ({len(both)}) | {mean_of(gap[:, 0])} | {mean_of(gap[:, 2])} |")


def mean_of(values: Sequence[float] | np.ndarray) -> str:
    found = np.asarray(values, dtype=float)
    error = found.std(ddof=1) / np.sqrt(len(found)) if len(found) > 1 else float("nan")
    return f"{found.mean():.2f} ± {error:.2f}"


def oracle_of(folder: Path) -> Any:
    """From cells to their percentile among 5,000 random genotypes, by an oracle in `darts_oracle.py` of that folder."""
    import importlib.util

    spec = importlib.util.spec_from_file_location("darts_oracle", folder / "darts_oracle.py")
    assert spec is not None and spec.loader is not None
    oracle = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(oracle)
    rng = np.random.default_rng(0)
    crowd = np.sort(oracle.predict([oracle.random_genotype(rng) for _ in range(5000)]))
    return lambda cells: 100 * float(np.searchsorted(crowd, oracle.predict([cells])[0])) / len(crowd)


if __name__ == "__main__":
    main()
