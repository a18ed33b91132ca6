"""How fast should α go? A first stage's individual at several rates of α and shares of warm-up, over seeds.

    python alpha_pace.py work RESULTS FOLDER IMAGES.npz [--seeds 6]    # start it once for each core
    python alpha_pace.py table RESULTS ORACLE_FOLDER

All settings of one seed begin from the same α and the same weights and see the same images, so that differences are
paired. The supernet's accuracy and an oracle's percentile of the genotype (`better_cells.py`) are told after epochs of
the stage; no search sees the oracle.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
from better_cells import cells_of, mean_of, oracle_of
from pieces import Piece, carried_out, command_line, finished, individuals_in, result_in

from medarts_ops.config import DatasetConfig, SearchConfig
from medarts_ops.config_runtime import SearchRuntimeConfig

STAGE = {"name": "init", "cells": 4, "channels": 8, "epochs": 8, "images": 1000, "batch": 64, "population": 1}
RATES = (3e-4, 1e-3, 3e-3)
WARMUPS = (0.0, 0.4)
TOLD_AFTER = (4, 8)


class Pace(NamedTuple):
    """α's learning rate, and the share of the stage's epochs that train weights alone."""

    rate: float
    warmup: float

    @property
    def name(self) -> str:
        return f"pace-{self.rate:g}-{self.warmup:g}"


PACES = tuple(Pace(*each) for each in product(RATES, WARMUPS))


def main() -> None:
    asked = command_line(__doc__, work, table, seeds=6)
    asked.carry_out(asked)


def work(asked: argparse.Namespace) -> None:
    """Search at each pace, seed by seed, what nobody else is at."""
    for seed, pace in product(range(asked.seeds), PACES):
        carried_out(asked, f"{pace.name}-{seed}", partial(searched, asked, pace, seed))


def searched(asked: argparse.Namespace, pace: Pace, seed: int) -> Piece:
    config = SearchConfig.model_validate(
        {
            "seed": seed,
            "dataset": DatasetConfig(name="npz", data=str(asked.images)),
            "runtime": SearchRuntimeConfig(device="cpu", threads=1, workers=1),
            "stages": (STAGE | {"warmup": pace.warmup},),
            "alpha": {"lr": pace.rate},
        }
    )
    folder = asked.folder / f"{pace.name}-{seed}"
    result_in(folder, config)
    (one,) = individuals_in(folder)
    epochs = [
        {"genotype": cells_of(each.genotype), "valid_accuracy": each.valid_accuracy, "decided": each.max_mixture_normal}
        for each in one.trained.history
        if each.genotype is not None
    ]
    return {"rate": pace.rate, "warmup": pace.warmup, "seed": seed, "epochs": epochs}


def table(asked: argparse.Namespace) -> None:
    """Print means over seeds with standard errors, and differences from DARTS's own pace, as Markdown."""
    percentile = oracle_of(asked.oracle)
    columns = [f"{what} after {n}" for n in TOLD_AFTER for what in ("accuracy, %", "percentile", "largest weight, %")]
    print(
        f"| α's rate | warm-up | seeds | {' | '.join(columns)} | percentile after {TOLD_AFTER[-1]}, against the first |"
    )
    print("|---:|---:|---:|" + "---:|" * (len(columns) + 1))
    rows = {pace: {row["seed"]: row for row in rows_of(asked.results, pace)} for pace in PACES}
    last = {
        pace: {seed: percentile(row["epochs"][-1]["genotype"]) for seed, row in of_pace.items()}
        for pace, of_pace in rows.items()
    }
    for pace, of_pace in rows.items():
        if not of_pace:
            continue
        shown = []
        for n in TOLD_AFTER:
            epochs = [row["epochs"][n - 1] for row in of_pace.values()]
            shown += [
                mean_of([100 * epoch["valid_accuracy"] for epoch in epochs]),
                mean_of([percentile(epoch["genotype"]) for epoch in epochs]),
                mean_of([100 * epoch["decided"] for epoch in epochs]),
            ]
        both = sorted(last[pace].keys() & last[PACES[0]].keys())
        gap = np.array([last[pace][seed] - last[PACES[0]][seed] for seed in both])
        words = [f"{pace.rate:g}", f"{pace.warmup:g}", str(len(of_pace)), *shown, mean_of(gap) if len(both) else ""]
        print(f"| {' | '.join(words)} |")


def rows_of(results: Path, pace: Pace) -> Iterator[Piece]:
    for seed in range(100):
        row = finished(results, f"{pace.name}-{seed}")
        if row is not None:
            yield row


if __name__ == "__main__":
    main()
