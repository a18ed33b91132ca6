"""Does a short training rank genotypes as full training does? On genotypes whose full accuracies somebody measured.

    python short_training.py train RESULTS.jsonl IMAGES.npz REAL.npz --derived 'epochs: 5' [--first 24] [--part 0/2]
    python short_training.py table RESULTS.jsonl REAL.npz
    python short_training.py published REAL.npz [--of 17]

`train` trains each genotype as a search with `derived_accuracy` does, and adds a line for each; it goes on where it was
stopped, and parts may run side by side. `table` prints rank correlations with the full accuracies, alone and together
with parameters (Eq. 6: each by its range, parameters at half weight). `published` asks what a search would gain by the
short trainings that were published with the full ones: of so many genotypes it chooses that of the highest weighted
sum, and the percentile of its full accuracy is told, in the mean.

REAL.npz holds `genotypes` (JSON), `accuracy` and `params_millions`, and `low_fidelity [protocol, genotype]` with its
`protocols` (JSON), of 100 networks of the DARTS space
(github.com/MAC-AutoML/rethinking_performance_estimation_in_NAS); a search never sees it.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from medarts_ops.config import ObjectiveConfig, SearchConfig
from medarts_ops.derived import DerivedTraining
from medarts_ops.executors.local import LocalExecutor
from medarts_ops.resolving import resolve_search_config
from medarts_ops.space.formats import genotype_from_data
from medarts_ops.tasks import DerivedTask, derived_settings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True)
    train_ = verbs.add_parser("train")
    train_.add_argument("results", type=Path)
    train_.add_argument("images", type=Path)
    train_.add_argument("real", type=Path)
    train_.add_argument("--derived", type=yaml.safe_load, default={}, help="settings under derived., as YAML")
    train_.add_argument("--first", type=int, default=24, help="how many of the genotypes")
    train_.add_argument("--part", default="0/1", help="every n-th genotype from the k-th: k/n")
    train_.set_defaults(carry_out=train)
    table_ = verbs.add_parser("table")
    table_.add_argument("results", type=Path)
    table_.add_argument("real", type=Path)
    table_.set_defaults(carry_out=table)
    published_ = verbs.add_parser("published")
    published_.add_argument("real", type=Path)
    published_.add_argument("--of", type=int, default=17, help="how many genotypes a search chooses from")
    published_.set_defaults(carry_out=published)
    asked = parser.parse_args()
    asked.carry_out(asked)


def train(asked: argparse.Namespace) -> None:
    """Add a line to the results for each genotype that has none by these settings."""
    config, data = resolve_search_config(
        SearchConfig.model_validate(
            {
                "dataset": {"name": "npz", "data": str(asked.images)},
                "objectives": [ObjectiveConfig(name="derived_accuracy")],
                "derived": asked.derived,
                "runtime": {"device": "cpu", "threads": 1, "workers": 1},
            }
        )
    )
    settings, derived = derived_settings(config), config.derived.model_dump()
    first, step = (int(number) for number in asked.part.split("/"))
    real = np.load(asked.real)
    genotypes = json.loads(str(real["genotypes"]))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "derived.npz"
        assert data.derived is not None
        data.derived.save(file)
        executor = LocalExecutor(config.runtime)
        for number in range(first, asked.first, step):
            if any(line["genotype"] == number and line["derived"] == derived for line in lines_of(asked.results)):
                continue
            task = DerivedTask(genotype=genotype_from_data(genotypes[number]), settings=settings, data=str(file))
            started = time.perf_counter()
            (outcome,) = executor.run([task], lambda name, record: None)
            assert isinstance(outcome, DerivedTraining), outcome
            line = {
                "genotype": number,
                "derived": derived,
                "accuracy": [record.valid_accuracy for record in outcome.history],
                "loss": [record.valid_loss for record in outcome.history],
                "seconds": round(time.perf_counter() - started, 1),
            }
            with asked.results.open("a", encoding="utf-8") as file_of_results:
                file_of_results.write(json.dumps(line) + "\n")
            print(number, line["accuracy"][-1], f"{line['seconds']:.0f} s", flush=True)


def lines_of(results: Path) -> list[dict[str, Any]]:
    """What was trained so far."""
    if not results.exists():
        return []
    return [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]


def table(asked: argparse.Namespace) -> None:
    """Print a line of Markdown for each settings that the results hold."""
    real = np.load(asked.real)
    by_settings = defaultdict(list)
    for line in lines_of(asked.results):
        by_settings[json.dumps(line["derived"])].append(line)
    print("| cells | channels | epochs | batch | images | genotypes | minutes each | ρ | ρ with parameters |")
    print("|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    for settings, lines in by_settings.items():
        which = [line["genotype"] for line in lines]
        truth, params = real["accuracy"][which], real["params_millions"][which]
        accuracy = np.array([line["accuracy"][-1] for line in lines])
        minutes = float(np.median([line["seconds"] for line in lines])) / 60
        asked_for = json.loads(settings)
        row = [asked_for[name] for name in ("cells", "channels", "epochs", "batch", "images")]
        row += [len(lines), f"{minutes:.1f}", correlation(accuracy, truth)]
        print("|", " | ".join(map(str, [*row, correlation(shares(accuracy) + 0.5 * shares(params), truth)])), "|")
    which = sorted({line["genotype"] for line in lines_of(asked.results)})
    alone = correlation(real["params_millions"][which], real["accuracy"][which])
    print(f"\nparameters alone: {alone} ({len(which)} genotypes)")


WEIGHTS = (0.0, 0.3, 0.5, 1.0)
"""Of parameters, beside an accuracy that weighs 1."""


def published(asked: argparse.Namespace) -> None:
    """Print a line of Markdown for each published protocol of 30 epochs or fewer on 16×16 images, and for none."""
    real = np.load(asked.real)
    truth, params = real["accuracy"], real["params_millions"]
    percentiles = 100 * truth.argsort().argsort() / (len(truth) - 1)
    rng = np.random.default_rng(0)
    drawn = np.array([rng.choice(len(truth), asked.of, replace=False) for _ in range(10_000)])

    def chosen(values: np.ndarray) -> str:
        best = drawn[np.arange(len(drawn)), values.argmax(axis=1)]
        return f"{percentiles[best].mean():.0f}"

    names = ["cells", "channels", "epochs", "batch", "rate", "ρ", *(f"w = {weight:g}" for weight in WEIGHTS)]
    print("|", " | ".join(names), "|")
    print("|" + "---:|" * len(names))
    for protocol, accuracy in zip(json.loads(str(real["protocols"]))["rows"], real["low_fidelity"], strict=True):
        epochs, batch, rate, cells, precision, channels, _, side, _ = protocol
        if side == "16" and precision == "32" and int(epochs) <= 30:
            sums = [shares(accuracy[drawn]) + weight * shares(params[drawn]) for weight in WEIGHTS]
            row = [cells, channels, epochs, batch, f"{float(rate):g}", correlation(accuracy, truth)]
            print("|", " | ".join([*row, *map(chosen, sums)]), "|")
    print(
        f"\nparameters alone: {chosen(params[drawn])}; any: {percentiles.mean():.0f}; the best: {chosen(truth[drawn])}"
    )


def shares(values: np.ndarray) -> np.ndarray:
    """Each over the range of all, or of its row, as in Eq. 6."""
    return (values - values.min(axis=-1, keepdims=True)) / np.ptp(values, axis=-1, keepdims=True)


def correlation(values: np.ndarray, truth: np.ndarray) -> str:
    """Spearman's ρ with its 95 % interval (percentile bootstrap over genotypes, 2,000 resamples)."""
    from scipy.stats import spearmanr

    rng = np.random.default_rng(0)
    draws = [rng.integers(len(truth), size=len(truth)) for _ in range(2000)]
    low, high = np.nanpercentile([spearmanr(values[each], truth[each]).statistic for each in draws], [2.5, 97.5])
    return f"{spearmanr(values, truth).statistic:.2f} [{low:.2f}, {high:.2f}]"


if __name__ == "__main__":
    main()
