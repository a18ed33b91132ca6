"""`--budget`: what it refuses, and what a dry run says of the plan that fits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from medarts_ops.cli.main import medarts

TINY = ("--set", "space.nodes=2", "--set", "runtime.threads=1", "--set", "stages.2.channels=2")
TRAINED = ("evaluate", "--genotype", "DARTS_V2", "--dataset", "digits", "--set", "cells=3", "--set", "channels=2")


@pytest.mark.parametrize("words", [("search",), TRAINED, ("sweep", "--vary", "weights.lr=0.1,0.2")])
@pytest.mark.parametrize("given", ["2x", "90", "-1h", "0s"])
def test_what_is_no_time_is_refused_by_one_line_that_says_what_is(words: tuple[str, ...], given: str) -> None:
    result = CliRunner().invoke(medarts, [*words, "--budget", given])
    assert result.exit_code == 2 and "Traceback" not in result.output
    assert "such as 90s, 45m, 2h, 1h30m or 2d" in result.stderr and given in result.stderr


def test_a_dry_run_says_what_fits_beside_what_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["search", *TINY, "--set", "stages.0.epochs=100000", "--budget", "30m", "--dry-run", "--json"]
    result = CliRunner().invoke(medarts, words)
    told = json.loads(result.stdout)
    budget, chosen = told["budget"], told["budget"]["chosen"]
    assert budget["seconds"] == 1800 and 0 < budget["scale"] < 1
    assert chosen["seconds"] <= 1800 < budget["asked"]["seconds"]
    assert chosen["stages"][0]["epochs"] == told["config"]["stages"][0]["epochs"] < 100_000
    assert "budget 30 min 0 s: the plan trains for about" in result.stderr and "100,000 → " in result.stderr
    assert list(tmp_path.iterdir()) == [], "nothing was stored"


def test_a_dry_run_of_a_sweep_times_once_what_it_fits_and_what_that_costs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["sweep", *TINY, "--vary", "weights.lr=0.01,0.02", "--seeds", "0", "--budget", "20m", "--dry-run", "--json"]
    result = CliRunner().invoke(medarts, [*words, "--set", "stages.0.epochs=100000"])
    told = json.loads(result.stdout)
    assert told["plan"]["arms"][0]["search"]["stages"][0]["epochs"] < 100_000
    assert told["estimate"]["hours"] <= 1 / 3
    timed = [line for line in result.stderr.splitlines() if line.startswith("timing ")]
    assert timed and len(timed) == told["estimate"]["searches"] == 2


def test_a_dry_run_of_an_evaluation_says_its_epochs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(medarts, [*TRAINED, "--set", "epochs=100000", "--budget", "30m", "--dry-run", "--json"])
    told = json.loads(result.stdout)
    assert told["config"]["epochs"] == told["budget"]["chosen"]["epochs"] < told["budget"]["asked"]["epochs"] == 100_000
    assert "epochs instead of 100000" in result.stderr
    refused = CliRunner().invoke(medarts, [*TRAINED, "--set", "runtime.budget=0.01", "--dry-run"])
    assert refused.exit_code == 2 and "the smallest evaluation of these settings takes about" in refused.stderr
