"""`medarts sweep`: what it asks for and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from refusals import assert_refused, count, invoke

TINY = "stages=[{name: init, cells: 3, channels: 2, epochs: 1, images: 80, batch: 20, population: 2}]"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "nothing is varied: give --vary PATH=V1,V2, --genotype or a FILE"),
        (["--vary", "weights.lr"], "has no values: allowed is PATH=V1,V2"),
        (["--vary", "weights.lr="], "has no list of values"),
        (["--vary", "weights.lrr=1"], "did you mean 'weights.lr'?"),
        (["--vary", "strategy.order=first,secnd"], "allowed is 'first' or 'second', got 'secnd'"),
        (["--vary", "seed=1,2"], "give them by --seeds"),
        (["--vary", "weights.lr=1", "--vary", "weights.lr=2"], "is given twice: give all of its values at once"),
        (["--vary", "weights.lr=1", "--vary", "weights={}"], "are about the same setting"),
        (["--vary", "weights.lr=1,2", "--set", "weights.lr=3"], "weights.lr is varied, and --set sets weights.lr"),
        (["--vary", "dataset.name=digits", "--dataset", "digits"], "an option sets dataset.name"),
        (["--vary", "weights.lr=0.1,0.10"], "come to the same settings"),
        (["--vary", "weights.lr=1", "--seeds", "x"], "--seeds is 'x'"),
        (["--vary", "weights.lr=1", "--set", "seed=1"], "seed is set by --set"),
        (["--vary", "evaluate.epochs=1"], "add --evaluate"),
        (["--vary", "weights.lr=1", "--set", "evaluate.epochs=1"], "add --evaluate"),
        (["--vary", "weights.lr=0.1,0.2", "--seeds", "0-16"], "the sweep trains 34 searches, 2 combinations with 17"),
        (["--vary", "weights.lr=0.1", "--evaluate", "--seeds", "0-16"], "17 searches and 17 evaluations"),
        (["--genotype", "DARTS_V2"], "--genotype needs --dataset NAME"),
        (["--genotype", "DARTS_V2", "--evaluate", "--dataset", "digits"], "--genotype makes none"),
        (["--genotype", "SNAS", "--genotype", "SNAS", "--dataset", "digits"], "--genotype SNAS is given twice"),
        (["none.yaml"], "sweep file 'none.yaml' can't be read"),
        (["there.yaml", "--config", "there.yaml"], "FILE and --config exclude each other"),
        (["--vary", "weights.lr=1", "--csv", "--json"], "exclude each other"),
        (["--vary", "weights.lr=1", "--name", "../up"], "name is '../up'"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_half_made(words: list[str], message: str, here: Path) -> None:
    (here / "there.yaml").write_text("vary: {weights.lr: [0.1]}\n")
    assert_refused(invoke("sweep", *words), 2, message)


def test_an_unknown_genotype_is_refused_with_the_near_miss(here: Path) -> None:
    result = invoke("sweep", "--genotype", "DARTS_V3", "--dataset", "digits")
    assert_refused(result, 1, "did you mean 'DARTS_V")


def test_what_is_wrong_with_a_file_is_one_line_that_names_it(here: Path) -> None:
    (here / "mine.yaml").write_text("vary: {weights.lr: 0.1}\n")
    assert_refused(invoke("sweep", "mine.yaml"), 2, "sweep file mine.yaml: vary weights.lr has no list of values")


def test_a_dry_run_tells_searches_and_evaluations_without_being_asked_for_yes(here: Path) -> None:
    words = ("sweep", "--vary", "strategy.order=first,second", "--seeds", "0-9", "--evaluate", "--set", TINY)
    sizes = ("--set", "evaluate.cells=3", "--set", "evaluate.channels=2", "--workers", "2")
    result = invoke(*words, *sizes, "--dry-run", "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert (told["estimate"]["searches"], told["estimate"]["evaluations"]) == (20, 20)
    assert [arm["arm"] for arm in told["estimate"]["arms"]] == ["order-first", "order-second"]
    assert all(arm["search_hours"] > 0 and arm["evaluation_hours"] > 0 for arm in told["estimate"]["arms"])
    assert told["plan"]["workers"] == 2 and told["plan"]["scale"] == "own"
    assert count(here / "mlflow.db", "runs") == 0 and not (here / "medarts-work").exists()
