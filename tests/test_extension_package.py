"""Parts of somebody's own: an installed package that the commands find, and objects that a script registers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent / "extension_package"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the example package is installed into."""
    sources = tmp_path_factory.mktemp("sources") / "package"
    shutil.copytree(PACKAGE, sources, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "build"))
    target = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "--isolated", "--quiet", "--disable-pip-version-check", "install"]
    options = ["--no-deps", "--no-index", "--no-build-isolation", "--target", str(target), str(sources)]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return target


def run(folder: Path, *words: str, beside: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = os.environ | ({} if beside is None else {"PYTHONPATH": str(beside)})
    command = [sys.executable, *words]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


def medarts(folder: Path, *words: str, beside: Path | None = None) -> subprocess.CompletedProcess[str]:
    code = "import sys\nfrom medarts_ops.cli.main import main\nsys.exit(main())"
    return run(folder, "-c", code, *words, beside=beside)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("objectives=[accuracy, skip]", "objectives.1.name: unknown objective 'skip': allowed are accuracy, derived"),
        ("dataset.name=stripe", "dataset.name: unknown dataset 'stripe': allowed are cifar10"),
        ("strategy.name=sigmoyd", "strategy.name: unknown strategy 'sigmoyd': allowed are asap, darts, dr-nas, "),
        ("{name: sigmoid, order: first}", "unknown setting 'strategy.order': allowed here are name, zero_one"),
        ("runtime.executor=last", "runtime.executor: unknown executor 'last': allowed are auto, last_first, local"),
    ],
)
def test_an_unknown_name_lists_the_packages_parts_too(
    installed: Path, tmp_path: Path, setting: str, message: str
) -> None:
    setting = setting if "=" in setting else f"strategy={setting}"
    words = ("search", "--preset", "digits", "--set", setting)
    done = medarts(tmp_path, *words, beside=installed)
    assert done.returncode == 2 and message in " ".join(done.stderr.split())
    assert any(name in done.stderr for name in ("skips", "stripes", "last_first", "zero_one", "sigmoid"))
    assert list(tmp_path.iterdir()) == []


def test_a_search_with_parts_of_every_kind_of_a_package(
    installed: Path, tmp_path: Path, template_database: Path
) -> None:
    shutil.copy(template_database, tmp_path / "mlflow.db")
    strategy = ("--set", "strategy={name: sigmoid, zero_one: 2.0}")
    settings = ("--config", str(PACKAGE / "stripes.yaml"), "--name", "mine", *strategy)
    done = medarts(tmp_path, "search", *settings, "--json", "--no-pictures", beside=installed)
    assert done.returncode == 0, done.stderr
    journal = (tmp_path / "medarts-work" / "mine" / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    config = json.loads(journal[1])["event"]["config"]
    assert config["objectives"][1] == {"name": "skips", "direction": "minimize"}
    assert (config["dataset"]["name"], config["runtime"]["executor"]) == ("stripes", "last_first")
    assert config["strategy"] == {"name": "sigmoid", "zero_one": 2.0}
    shown = medarts(tmp_path, "show", "mine", beside=installed)
    assert shown.returncode == 0 and "skips" in shown.stdout, shown.stderr
    report = medarts(tmp_path, "report", "mine", "-o", "mine.html", beside=installed)
    assert report.returncode == 0, report.stderr
    page = (tmp_path / "mine.html").read_text(encoding="utf-8")
    assert "skips (the less the better)" in page and "skip-connections" in page
    without = medarts(tmp_path, "show", "mine")
    assert without.returncode == 0 and "skips" in without.stdout, without.stderr


SCRIPT = """
from pathlib import Path

import medarts_ops
from medarts_ops.objectives.measuring import Objective


def depth(trained, context):
    return float(len(trained.history))


if __name__ == "__main__":
    medarts_ops.OBJECTIVES.register("depth", Objective(depth, "minimize", "epochs"))
    stage = {"cells": 3, "channels": 2, "epochs": 1, "images": 80, "batch": 20}
    config = medarts_ops.SearchConfig.model_validate({
        "dataset": {"low_resolution": False},
        "objectives": ["accuracy", "depth"],
        "stages": [stage | {"name": "init", "population": 2}],
        "runtime": {"device": "cpu", "threads": 1, "workers": 2},
    })
    Path("mine").mkdir()
    print(medarts_ops.run_search(config, Path("mine")).best.evaluated.objectives["depth"])
"""


def test_an_objective_that_a_script_registers_is_searched_by_with_worker_processes(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT, encoding="utf-8")
    done = run(tmp_path, "script.py")
    assert done.returncode == 0 and done.stdout == "1.0\n", done.stderr
