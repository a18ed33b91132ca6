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


COMMANDS = """
import json
import sys

from click.testing import CliRunner

from medarts_ops.cli.main import medarts

results = [CliRunner().invoke(medarts, words) for words in json.loads(sys.argv[1])]
print(json.dumps([(result.exit_code, result.stdout, result.stderr) for result in results]))
"""


def medarts(folder: Path, *commands: list[str], beside: Path | None = None) -> list[tuple[int, str, str]]:
    """Exit code, stdout and stderr of each command; all of them in one process, as its imports take seconds."""
    done = run(folder, "-c", COMMANDS, json.dumps(commands), beside=beside)
    assert done.returncode == 0, done.stderr
    return [(code, out, err) for code, out, err in json.loads(done.stdout.splitlines()[-1])]


UNKNOWN = [
    ("objectives=[accuracy, skip]", "objectives.1.name: unknown objective 'skip': allowed are accuracy, derived"),
    ("dataset.name=stripe", "dataset.name: unknown dataset 'stripe': allowed are cifar10"),
    ("strategy.name=sigmoyd", "strategy.name: unknown strategy 'sigmoyd': allowed are asap, darts, dr-nas, "),
    ("{name: sigmoid, order: first}", "unknown setting 'strategy.order': allowed here are name, zero_one"),
    ("runtime.executor=last", "runtime.executor: unknown executor 'last': allowed are auto, last_first, local"),
]


@pytest.fixture(scope="module")
def said(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str]]:
    """The exit code and stderr of a search with each of these settings, in a folder that stays empty."""
    folder = tmp_path_factory.mktemp("unknown")
    settings = [setting if "=" in setting else f"strategy={setting}" for setting, _ in UNKNOWN]
    commands = [["search", "--preset", "digits", "--set", setting] for setting in settings]
    done = medarts(folder, *commands, beside=installed)
    assert list(folder.iterdir()) == []
    return dict(zip((setting for setting, _ in UNKNOWN), ((code, err) for code, _, err in done), strict=True))


@pytest.mark.parametrize(("setting", "message"), UNKNOWN)
def test_an_unknown_name_lists_the_packages_parts_too(
    said: dict[str, tuple[int, str]], setting: str, message: str
) -> None:
    code, stderr = said[setting]
    assert code == 2 and message in " ".join(stderr.split())
    assert any(name in stderr for name in ("skips", "stripes", "last_first", "zero_one", "sigmoid"))


def test_a_search_with_parts_of_every_kind_of_a_package(
    installed: Path, tmp_path: Path, template_database: Path
) -> None:
    shutil.copy(template_database, tmp_path / "mlflow.db")
    settings = ["--config", str(PACKAGE / "stripes.yaml"), "--set", "strategy={name: sigmoid, zero_one: 2.0}"]
    search = ["search", *settings, "--name", "mine", "--json", "--no-pictures"]
    show, report = ["show", "mine"], ["report", "mine", "-o", "mine.html"]
    searched, shown, reported = medarts(tmp_path, search, show, report, beside=installed)
    assert searched[0] == 0, searched
    journal = (tmp_path / "medarts-work" / "mine" / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    config = json.loads(journal[1])["event"]["config"]
    assert config["objectives"][1] == {"name": "skips", "direction": "minimize"}
    assert (config["dataset"]["name"], config["runtime"]["executor"]) == ("stripes", "last_first")
    assert config["strategy"] == {"name": "sigmoid", "zero_one": 2.0}
    assert shown[0] == 0 and "skips" in shown[1], shown
    assert reported[0] == 0, reported
    page = (tmp_path / "mine.html").read_text(encoding="utf-8")
    assert "skips (the less the better)" in page and "skip-connections" in page
    ((code, shown_without, said),) = medarts(tmp_path, show)
    assert code == 0 and "skips" in shown_without, said


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
