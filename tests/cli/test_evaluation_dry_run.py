"""What an evaluation would cost is said before it, and leaves nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from medarts_ops.cli.main import medarts
from medarts_ops.networks.counting import count_parameters
from medarts_ops.space.zoo import zoo_genotype

WORDS = ["evaluate", "--genotype", "DARTS_V2", "--dataset", "digits", "--dry-run", "--set", "runtime.threads=1"]
SMALL = ["--set", "cells=3", "--set", "channels=4", "--set", "epochs=2"]


@pytest.mark.parametrize(
    ("given", "code", "message"),
    [
        ("images=5000", 1, "the largest that works is 1,390"),
        ("images=15", 1, "allowed are 20 images or more"),
        ("stem=imagenet", 2, "allowed are sides of 64 or more"),
    ],
)
def test_what_the_evaluation_itself_would_refuse_is_refused_before_a_step_is_timed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, code: int, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    refused = CliRunner().invoke(medarts, [*WORDS, *SMALL, "--set", given])
    *_, error = refused.stderr.splitlines()
    assert (refused.exit_code, refused.stderr.count("\n")) == (code, 2), refused.stderr  # after that images are read
    assert error.startswith("error: ") and message in error


@pytest.mark.parametrize(("share", "parts"), [("0", (1438, 359)), ("0.25", (1078, 360))])
def test_a_dry_run_says_network_images_time_and_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: str, parts: tuple[int, int]
) -> None:
    monkeypatch.chdir(tmp_path)
    given = [*WORDS, *SMALL, "--set", f"validation_share={share}"]
    lines = CliRunner().invoke(medarts, given).stdout.splitlines()
    to_train, measured = parts
    what = "test" if share == "0" else "validate"
    assert f"images      {to_train:,} to train, {measured} to {what}, 8×8, 10 classes" in lines
    told = json.loads(CliRunner().invoke(medarts, [*given, "--json"]).stdout)
    size = {"cells": 3, "channels": 4, "n_classes": 10, "in_channels": 1}
    assert told["parameters"] == count_parameters(zoo_genotype("DARTS_V2"), **size)
    assert told["images"] == {"train": to_train, "test": 359} and told["config"]["epochs"] == 2
    assert told["estimate"]["hours"] > 0 and told["memory_bytes"] == told["estimate"]["memory_bytes"] > 0
    assert list(tmp_path.iterdir()) == [], "nothing was stored"
