"""The kit that measures a card (docs/measured/gpu_proof.py): its dry run on a CPU, and the document that it writes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from medarts_ops.data.dataset import ImageShape
from medarts_ops.training.made_up import made_up_images

MEASURED = Path(__file__).resolve().parents[1] / "docs" / "measured"
ROW = {"seconds": 0.0125, "launches": 2917}
PARTS = (
    *("tests", "search_step", "evaluation_step", "data", "search"),
    *("evaluation", "determinism", "resume", "memory", "layouts"),
)


@pytest.fixture
def proof(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(MEASURED))
    import gpu_proof

    yield gpu_proof


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of 32×32, ten classes."""
    path = tmp_path_factory.mktemp("images") / "images.npz"
    train, test = made_up_images(200, ImageShape.square(32)), made_up_images(20, ImageShape.square(32))
    np.savez(path, x_train=train.images, y_train=train.labels, x_test=test.images, y_test=test.labels)
    return path


def measured(proof: ModuleType, folder: Path, images: Path, part: str, minutes: float = 5.0) -> dict[str, Any]:
    """What came of a part in tiny sizes, in this process."""
    folder.mkdir(exist_ok=True)
    proof.measure(Namespace(folder=folder, images=images, parts=[part], tiny=True, minutes=minutes, commit="abc"))
    found: dict[str, Any] = json.loads((folder / f"{part}.json").read_text(encoding="utf-8"))
    return found


def test_all_parts_have_cases_in_both_sizes(proof: ModuleType, tmp_path: Path, images: Path) -> None:
    from importlib import import_module

    assert tuple(proof.PARTS) == PARTS
    for tiny in (True, False):
        asked = import_module("gpu_parts.case").Asked(tmp_path, images, tiny, 0.0)
        for part in proof.PARTS.values():
            module, function = part.cases.split(":")
            assert getattr(import_module(f"gpu_parts.{module}"), function)(asked)


@pytest.mark.parametrize("part", ["data", "layouts"])
def test_a_cheap_part_is_measured_on_a_cpu(proof: ModuleType, tmp_path: Path, images: Path, part: str) -> None:
    found = measured(proof, tmp_path, images, part)
    assert proof.state_of(found) == "done"
    assert found["machine"]["commit"] == "abc"
    assert all(value > 0 for row in found["rows"].values() for value in row.values())


def test_a_part_for_cards_says_so_on_a_cpu(proof: ModuleType, tmp_path: Path, images: Path) -> None:
    found = measured(proof, tmp_path, images, "tests")
    assert found["rows"] in ({"tests/gpu": {"skipped": "needs a card"}}, {"tests/gpu": {"skipped": "no pytest"}})


@pytest.mark.slow
def test_a_search_whose_time_is_over_goes_on_at_the_next_call(proof: ModuleType, tmp_path: Path, images: Path) -> None:
    from gpu_parts.case import Asked
    from gpu_parts.jobs import whole_search

    def searched(name: str, seconds: float) -> dict[str, Any]:
        return dict(whole_search(Asked(tmp_path / name, images, True, time.monotonic() + seconds)))

    searched("first", 300)  # which imports
    began = time.monotonic()
    whole = searched("whole", 300)
    stopped = searched("stopped", (time.monotonic() - began) / 4)
    assert stopped.keys() == {"unfinished"}
    assert searched("stopped", 300)["acc_valid"] == whole["acc_valid"]


def test_cases_that_failed_are_tried_again_after_those_that_nobody_tried(
    proof: ModuleType, tmp_path: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gpu_parts import steps

    tried: list[str] = []

    def case(name: str, *, breaks: bool = False) -> Any:
        def carry_out() -> dict[str, Any]:
            tried.append(name)
            if breaks:
                raise ValueError("broken\nin two lines")
            return ROW

        return carry_out

    monkeypatch.setattr(steps, "input_passes", lambda asked: {"a": case("a", breaks=True), "b": case("b")})
    found = measured(proof, tmp_path, images, "data")
    assert found["rows"] == {"a": {"failed": "ValueError: broken"}, "b": ROW} and found["left"] == []
    assert proof.state_of(found) == "failed, 1 of 2: ValueError: broken"
    later = {"a": case("a"), "b": case("b"), "c": case("c")}
    monkeypatch.setattr(steps, "input_passes", lambda asked: later)
    assert proof.state_of(measured(proof, tmp_path, images, "data", minutes=0.0)) == proof.state_of(found)
    assert proof.state_of(measured(proof, tmp_path, images, "data")) == "done"
    assert tried == ["a", "b", "c", "a"]


@pytest.mark.slow
def test_a_part_that_fails_lets_the_others_go_on_and_is_run_again_alone(tmp_path: Path) -> None:
    images = tmp_path / "none.npz"
    images.write_text("no images")
    words = ["run", str(tmp_path), str(images), "evaluation", "data", "--tiny"]
    command = [sys.executable, str(MEASURED / "gpu_proof.py"), *words]

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, capture_output=True, text=True, check=False)

    first, when = run(), (tmp_path / "data.json").stat().st_mtime_ns
    assert first.returncode == 1, first.stderr
    failed, data = first.stdout.splitlines()
    assert failed.startswith("evaluation: failed, 2 of 2: ") and "none.npz" in failed and data == "data: done"
    assert run().stdout == first.stdout
    assert (tmp_path / "data.json").stat().st_mtime_ns == when


@pytest.mark.parametrize(
    ("name", "tiny", "said"),
    [
        ("none.npz", True, "none.npz is no file: give CIFAR-10's"),
        ("images.npz", False, "no CUDA device here: .* --tiny"),
    ],
)
def test_nothing_is_measured_without_images_or_a_card(
    proof: ModuleType,
    tmp_path: Path,
    images: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    tiny: bool,
    said: str,
) -> None:
    from gpu_parts import case

    monkeypatch.setattr(case, "on_card", lambda: False)
    asked = Namespace(folder=tmp_path / "proof", images=images.with_name(name), tiny=tiny, parts=[], minutes=9.0)
    assert proof.run(asked) == 2 and not (tmp_path / "proof").exists()
    assert re.search(said, capsys.readouterr().err)


def test_the_table_has_every_part_whatever_became_of_it(
    proof: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    machine = {"": "Some Card", "driver": "580", "torch": "2.14.1", "commit": "abc"}
    for part in PARTS[2:]:
        found = {"tiny": False, "machine": machine, "left": [], "rows": {"one": ROW}}
        proof.save(tmp_path, part, found)
    groups = {
        "init: original": {"seconds": 0.5, "launches": 1},
        "init: fp16": ROW,
        "init: graph": {"failed": "RuntimeError: no"},
    }
    proof.save(tmp_path, "search_step", found | {"rows": groups, "left": ["mid: fp16"]})
    proof.save(tmp_path, "tests", found | {"rows": {"tests/gpu": {"skipped": "no pytest"}}})
    proof.save(tmp_path, "memory", {"rows": {}, "left": [], "failed": "no module named pydantic"})
    (tmp_path / "layouts.json").unlink()
    proof.table(Namespace(folder=tmp_path))
    text = capsys.readouterr().out
    assert [line[4:] for line in text.splitlines() if line.startswith("### ")] == list(PARTS)
    assert "- Some Card, driver 580, torch 2.14.1, commit abc (tests, search_step, " in text
    assert "|  | seconds | launches | × |  |\n|:---|---:|---:|---:|:---|\n| init: original | 0.5 | 1 | 1 |  |" in text
    assert "| init: fp16 | 0.0125 | 2,917 | 40 |  |\n| init: graph |  |  |  | failed: RuntimeError: no |" in text
    assert "*left to do: mid: fp16*" in text
    assert "| tests/gpu | skipped: no pytest |" in text
    assert "*failed, 1 of 0: no module named pydantic*" in text
    assert text.endswith("*not run*\n")
