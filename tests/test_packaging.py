"""The wheel: what is in it, what it asks for, and that it runs where no checkout is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from medarts_ops.space.formats import parse_genotype
from medarts_ops.space.zoo import zoo_genotype

ROOT = Path(__file__).resolve().parents[1]
SOURCES = {
    "medarts_ops": "medarts_ops",
    "cli": "medarts_ops/cli",
    "configs": "medarts_ops/configs",
    "tracking": "medarts_ops/tracking",
}
"""The checkout's folders, and where they stand in the wheel."""

LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.egg-info", "build")


def settings() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy without leftovers: setuptools would pack old files of a build/ folder, too."""
    copy = tmp_path_factory.mktemp("sources")
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, copy)
    for name in SOURCES:
        shutil.copytree(ROOT / name, copy / name, ignore=LEFT_OUT)
    return copy


@pytest.fixture(scope="module")
def wheel(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip(sys.executable, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(sources))
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Distribution:
    return next(iter(distributions(path=[str(wheel)])))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment's folder of programs, with the wheel in it and the tests' own packages behind it."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    own = Path(sysconfig.get_path("purelib", "venv", vars={"base": str(folder)}))
    # A line that is a path is added as it is: .pth files in there, such as an editable checkout's, are not read.
    (own / "tests-packages.pth").write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    pip(str(python), "install", "--no-deps", "--no-index", str(wheel))
    return folder / "bin"


def pip(python: str, *words: str) -> None:
    """Runs the tests' own pip for `python`, without its configuration and the network."""
    command = [sys.executable, "-m", "pip", "--isolated", "--quiet", "--disable-pip-version-check", "--python", python]
    done = subprocess.run([*command, *words], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr


def run(folder: Path, *words: str) -> str:
    """What an installed program prints when it is called from `folder`, with no path but its own."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_folder_with_modules_is_a_listed_package() -> None:
    folders = {
        (Path(target) / path.parent.relative_to(ROOT / name)).as_posix().replace("/", ".")
        for name, target in SOURCES.items()
        for path in (ROOT / name).rglob("*.py")
    }
    assert sorted(folders) == settings()["tool"]["setuptools"]["packages"]


def test_the_wheel_holds_what_the_folders_hold_and_nothing_else(wheel: Path, sources: Path) -> None:
    expected = {
        (Path(target) / path.relative_to(sources / name)).as_posix()
        for name, target in SOURCES.items()
        for path in (sources / name).rglob("*")
        if path.is_file()
    }
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert packed == expected
    assert {"medarts_ops/py.typed", "medarts_ops/space/zoo.json", "medarts_ops/configs/digits.yaml"} <= packed


def test_the_metadata_is_that_of_the_project(metadata: Distribution) -> None:
    project = settings()["project"]
    assert (metadata.name, metadata.version) == (project["name"], project["version"])
    assert metadata.metadata["Requires-Python"] == ">=3.11"
    assert [(entry.name, entry.value) for entry in metadata.entry_points] == [("medarts", "medarts_ops.cli.main:main")]


@pytest.mark.parametrize(
    ("name", "oldest", "too_old"),
    [
        ("torch", "2.9.0", "2.8.0"),
        ("torchvision", "0.24.0", "0.23.0"),
        ("mlflow", "3.13.0", "3.12.0"),
        ("optuna", "5.0.0", "4.9.0"),
        ("pydantic", "2.7.0", "1.10.0"),
    ],
)
def test_a_library_is_asked_for_from_the_version_on_that_has_what_is_used(
    name: str, oldest: str, too_old: str, metadata: Distribution
) -> None:
    asked = {found.name: found for found in map(Requirement, metadata.requires or []) if found.marker is None}
    assert asked[name].specifier.contains(oldest)
    assert not asked[name].specifier.contains(too_old)


def test_test_tools_are_asked_for_by_the_extra_only(metadata: Distribution) -> None:
    found = list(map(Requirement, metadata.requires or []))
    assert {"pytest", "mypy", "ruff"} <= {requirement.name for requirement in found if requirement.marker is not None}
    assert not {"pytest", "mypy", "ruff"} & {requirement.name for requirement in found if requirement.marker is None}


def test_the_installed_copy_is_what_is_imported(installed: Path, tmp_path: Path) -> None:
    names = ("medarts_ops", "medarts_ops.space.zoo", "medarts_ops.tracking.search", "medarts_ops.cli.main")
    code = f"from importlib.util import find_spec\nfor name in {names}: print(find_spec(name).origin)"
    origins = run(tmp_path, str(installed / "python"), "-c", code).splitlines()
    assert len(origins) == len(names)
    assert all(Path(origin).is_relative_to(installed.parent) for origin in origins)


def test_no_folder_of_the_checkout_becomes_a_package_of_its_own(installed: Path, tmp_path: Path) -> None:
    code = "from importlib.util import find_spec\nprint([find_spec(name) for name in ('cli', 'tracking', 'configs')])"
    assert run(tmp_path, str(installed / "python"), "-c", code) == "[None, None, None]\n"


def test_the_installed_command_shows_its_help(installed: Path, tmp_path: Path) -> None:
    assert "Usage: medarts" in run(tmp_path, str(installed / "medarts"), "--help")


def test_the_installed_command_finds_its_genotypes(installed: Path, tmp_path: Path) -> None:
    assert parse_genotype(run(tmp_path, str(installed / "medarts"), "genotypes", "DARTS_V2")) == zoo_genotype(
        "DARTS_V2"
    )


def test_the_installed_command_finds_its_presets(installed: Path, tmp_path: Path) -> None:
    assert "preset cifar10-paper" in run(
        tmp_path, str(installed / "medarts"), "config", "show", "--preset", "cifar10-paper"
    )
    assert list(tmp_path.iterdir()) == []
