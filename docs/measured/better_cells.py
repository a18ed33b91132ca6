"""Are the cells better that a search finds by what genotypes can do? Six ways to come to a cell, over seeds.

    python better_cells.py work RESULTS FOLDER IMAGES.npz [--seeds 5]    # start it once for each core
    python better_cells.py table RESULTS ORACLE_FOLDER

For each seed: `random`, a random genotype; `largest`, that of most parameters of as many random ones as the search
trained; `darts`, plain first-order DARTS of one individual, for as many epochs as the search costs; `paper`, the
paper's choice among the search's last stage, the highest acc_valid after the last epoch; `ours`, what the search found,
by weights of 0.5 for derived_accuracy and 1 for parameters; `weighed`, what it would have found by the default weights,
1 and 0.5, which the presets have. All are trained from scratch alike (`evaluate:` of better_cells.yaml); an oracle,
which no search sees, scores them.

Each finished piece of work is a small file in RESULTS, which is all that the table and later pieces need; journals and
checkpoints are in FOLDER, by which a piece goes on where it was.
"""

from __future__ import annotations

import argparse
import fcntl
import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pieces import (
    Piece,
    carried_out,
    command_line,
    evaluation_in,
    events_of,
    finished,
    individuals_in,
    result_in,
)

from medarts_ops.bench.estimate import SearchEstimate
from medarts_ops.cli.bench import estimate_of
from medarts_ops.config import EvaluateConfig, SearchConfig, StageConfig
from medarts_ops.configs.loader import load_evaluate_config, load_search_config
from medarts_ops.evolution.choice import OTHER_WEIGHT, weighted_sums
from medarts_ops.individual import EvaluatedIndividual, EvaluationResult
from medarts_ops.networks.counting import count_parameters
from medarts_ops.observers import GenotypeTrained
from medarts_ops.resolving import resolve_search_config
from medarts_ops.space.formats import genotype_from_data
from medarts_ops.space.genotype import Genotype
from medarts_ops.space.random_genotype import random_genotypes

SETTINGS = Path(__file__).with_name("better_cells.yaml")
ARMS = ("random", "largest", "darts", "paper", "ours", "weighed")
DARTS_STAGE = {"name": "darts", "cells": 8, "channels": 8, "images": 4000, "batch": 64, "population": 1}


def main() -> None:
    asked = command_line(__doc__, work, table, seeds=5)
    asked.carry_out(asked)


def work(asked: argparse.Namespace) -> None:
    """Carry out what nobody else is at and what waits for nothing, seed by seed, until there is no more of it."""
    while any(carried_out(asked, name, job) for seed in range(asked.seeds) for name, job in pieces(asked, seed)):
        pass


def pieces(asked: argparse.Namespace, seed: int) -> Iterator[tuple[str, Callable[[], Piece]]]:
    """The pieces of work for one seed that can be done now."""
    yield f"search-{seed}", partial(search, asked, seed)
    if finished(asked.results, f"search-{seed}"):
        for arm in ("ours", "weighed", "paper", "largest", "random"):
            yield f"{arm}-{seed}", partial(trained, asked, arm, seed)
        yield f"plain-{seed}", partial(darts, asked, seed)
    if finished(asked.results, f"plain-{seed}"):
        yield f"darts-{seed}", partial(trained, asked, "darts", seed)


def settings_of(asked: argparse.Namespace, seed: int) -> tuple[SearchConfig, EvaluateConfig]:
    options = {"seed": seed, "dataset": {"data": str(asked.images)}}
    return (
        load_search_config(config_file=SETTINGS, options=options),
        load_evaluate_config(config_file=SETTINGS, options=options),
    )


def search(asked: argparse.Namespace, seed: int) -> Piece:
    folder = asked.folder / f"search-{seed}"
    result = result_in(folder, settings_of(asked, seed)[0])
    events, individuals = events_of(folder), individuals_in(folder)
    alone = [event.outcome.seconds for event in events if isinstance(event, GenotypeTrained)]
    return {
        "found": result.best.id,
        "why": result.why,
        "seconds": round(result.seconds),
        "genotypes_trained": len(alone),
        "genotype_seconds": round(sum(alone)),
        "ours": cells_of(result.best.trained.genotype),
        "paper": cells_of(papers_choice(individuals, len(result.stages) - 1)),
        "individuals": [row_of_individual(one) for one in individuals],
    }


def row_of_individual(one: EvaluatedIndividual) -> Piece:
    return {
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


def papers_choice(individuals: Sequence[EvaluatedIndividual], stage: int) -> Genotype:
    """Of a stage's individuals that of the highest acc_valid after its last epoch: no other dominates it."""
    last = [one.trained for one in individuals if one.trained.individual.stage == stage]
    genotype = max(last, key=lambda one: one.history[-1].valid_accuracy).history[-1].genotype
    assert genotype is not None
    return genotype


def darts(asked: argparse.Namespace, seed: int) -> Piece:
    """Plain DARTS with all its own settings, for as many epochs as cost what the search did."""
    config = plain_darts(settings_of(asked, seed)[0], darts_epochs(asked))
    result = result_in(asked.folder / f"plain-{seed}", config)
    return {"seconds": round(result.seconds), "darts": cells_of(result.best.trained.genotype)}


def plain_darts(config: SearchConfig, epochs: int) -> SearchConfig:
    """The search's seed, images and machine; all else is the model's defaults, which are DARTS's."""
    stage = StageConfig.model_validate(DARTS_STAGE | {"epochs": epochs})
    return SearchConfig(seed=config.seed, dataset=config.dataset, runtime=config.runtime, stages=(stage,))


def darts_epochs(asked: argparse.Namespace) -> int:
    """Epochs of plain DARTS that cost as much as a search, by steps of both that are timed at one time, once for all.

    Of the genotypes that a search may train, those count that the finished ones did train, in the mean.
    """
    kept = asked.results / "cost.json"
    with (asked.folder / "cost.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if not kept.exists():
            kept.write_text(json.dumps(cost_of_search(asked)) + "\n")
    epochs: int = json.loads(kept.read_text())["epochs"]
    return epochs


def cost_of_search(asked: argparse.Namespace) -> dict[str, float]:
    config = settings_of(asked, 0)[0]
    whole, once = (estimated(each) for each in (config, plain_darts(config, 1)))
    counts = [json.loads(path.read_text())["genotypes_trained"] for path in asked.results.glob("search-*.json")]
    assert whole.genotypes is not None
    supernets = sum(stage.hours for stage in whole.stages)
    alone = whole.genotypes.hours / whole.genotypes.genotypes * float(np.mean(counts))
    cost = {"supernet_hours": supernets, "genotype_hours": alone, "darts_epoch_hours": once.hours}
    return cost | {"epochs": round((supernets + alone) / once.hours)}


def estimated(config: SearchConfig) -> SearchEstimate:
    resolved, data = resolve_search_config(config)
    return estimate_of(resolved, data, 10)


def trained(asked: argparse.Namespace, arm: str, seed: int) -> Piece:
    """Train what the arm found from scratch, as all others; what another arm found, too, is trained once."""
    folder, (_, config) = asked.folder / f"{arm}-{seed}", settings_of(asked, seed)
    genotype = found_by(arm, asked.results, seed)
    for other in ARMS:
        known = finished(asked.results, f"{other}-{seed}")
        if known is not None and known["genotype"] == cells_of(genotype):
            return known | {"arm": arm}
    result = evaluation_in(folder, config, genotype)
    return {"arm": arm, "seed": seed} | row_of(result)


def found_by(arm: str, results: Path, seed: int) -> Genotype:
    """The genotype that an arm comes to; its search is finished."""
    found = finished(results, f"plain-{seed}" if arm == "darts" else f"search-{seed}")
    assert found is not None
    if arm in found:
        return genotype_from_data(found[arm])
    if arm == "weighed":
        return genotype_from_data(weighed(found["individuals"]))
    drawn = random_genotypes(max(1, found["genotypes_trained"]), seed=1000 + seed)
    return drawn[0] if arm == "random" else max(drawn, key=full_size)


def weighed(individuals: Sequence[Piece]) -> Piece:
    """The cells of the individual of all stages that `result: {rule: weighted, stages: all}` finds."""
    values = np.array([list(one["objectives"].values()) for one in individuals])  # both are maximised
    cells: Piece = individuals[int(weighted_sums(values, [1.0, OTHER_WEIGHT]).argmax())]["genotype"]
    return cells


def full_size(genotype: Genotype) -> int:
    return count_parameters(genotype, cells=20, channels=36, n_classes=10, in_channels=3)


def row_of(result: EvaluationResult) -> Piece:
    return {
        "genotype": cells_of(result.genotype),
        "test_error": result.test_error,
        "test_loss": result.history[-1].test_loss,
        "params": full_size(result.genotype),
        "seconds": round(result.seconds),
    }


def cells_of(genotype: Genotype) -> dict[str, list[list[Any]]]:
    """DARTS's two lists of [operation, input], which the oracle reads."""
    return {cell: [list(edge) for edge in getattr(genotype, cell)] for cell in ("normal", "reduce")}


def table(asked: argparse.Namespace) -> None:
    """Print the arms' means with standard errors, and paired differences, as Markdown."""
    percentile = oracle_of(asked.oracle)
    found = [finished(asked.results, f"{arm}-{seed}") for arm in ARMS for seed in range(100)]
    rows = [row for row in found if row is not None]
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
        ("weighed", "paper"),
        ("weighed", "largest"),
        ("weighed", "darts"),
        ("weighed", "random"),
        ("weighed", "ours"),
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
