"""The image's recipe, checked without building it: lint, user, sources, variables, and the lock that it installs."""

from __future__ import annotations

import importlib
import io
import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import pytest
from dockerfile_parse import DockerfileParser
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from medarts_ops.cli.main import VERBS, medarts

ROOT = Path(__file__).resolve().parents[1]


def parsed() -> DockerfileParser:
    return DockerfileParser(fileobj=io.BytesIO((ROOT / "Dockerfile").read_bytes()))


def instructions(name: str) -> list[str]:
    """The values of all instructions of that name, in order."""
    return [step["value"] for step in parsed().structure if step["instruction"] == name]


def last_stage() -> dict[str, str]:
    """The last value of each instruction of the stage that the image is."""
    steps: list[dict[str, Any]] = parsed().structure
    start = max(index for index, step in enumerate(steps) if step["instruction"] == "FROM")
    return {step["instruction"]: step["value"] for step in steps[start:]}


def pins() -> dict[str, str]:
    """The lock's versions by normalized name."""
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    split = [line.split("==") for line in lines if not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in split}


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_hadolint_has_no_complaint() -> None:
    beside = Path(sys.executable).parent / "hadolint"
    hadolint = str(beside) if beside.exists() else shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint is not installed: it comes with the test extra")
    done = subprocess.run([hadolint, "Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_it_runs_as_a_numeric_user_that_is_not_root() -> None:
    user = re.fullmatch(r"(\d+):(\d+)", last_stage()["USER"])
    assert user is not None
    assert all(int(number) > 0 for number in user.groups())


def test_the_entrypoint_is_the_command_itself_so_that_signals_reach_it() -> None:
    stage = last_stage()
    assert json.loads(stage["ENTRYPOINT"]) == ["medarts"]
    assert json.loads(stage["CMD"]) == ["--help"]
    assert stage["STOPSIGNAL"] == "SIGINT"


def test_results_land_in_a_volume_wherever_they_are_written() -> None:
    volumes = json.loads(last_stage()["VOLUME"])
    stores = [parsed().envs[name].removeprefix("sqlite:///") for name in ("MLFLOW_TRACKING_URI", "OPTUNA_STORAGE")]
    places = [
        last_stage()["WORKDIR"],
        parsed().envs["MEDARTS_DATA_DIR"],
        *(str(Path(store).parent) for store in stores),
    ]
    assert set(places) == set(volumes)


def test_both_stages_run_the_python_that_the_lock_is_for() -> None:
    header = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()[0]
    found = re.search(r"Python (\d+\.\d+)", header)
    assert found is not None
    assert parsed().parent_images == [f"python:{found[1]}-slim-bookworm"] * 2


def test_what_is_copied_is_there_and_not_ignored() -> None:
    sources = [word for value in instructions("COPY") if "--from=" not in value for word in value.split()[:-1]]
    allowed = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert [source for source in sources if not (ROOT / source).exists()] == []
    assert {f"!{source}" for source in sources} == {line for line in allowed if line.startswith("!")}


def test_the_folders_that_are_copied_are_those_that_the_wheel_is_made_of() -> None:
    mapped = set(project()["tool"]["setuptools"]["package-dir"].values())
    from_here = [value for value in instructions("COPY") if "--from=" not in value]
    assert mapped == {word for value in from_here for word in value.split()[:-1] if (ROOT / word).is_dir()}


def option_variables() -> set[str]:
    """Every environment variable that an option of some verb reads."""
    context = click.Context(medarts)
    commands = [command for name in VERBS if (command := medarts.get_command(context, name)) is not None]
    variables = [parameter.envvar for command in commands for parameter in command.params]
    return {name for given in variables if given for name in ([given] if isinstance(given, str) else given)}


def mlflow_knows(name: str) -> bool:
    """Whether MLflow's own list has the variable; read as text, since importing MLflow takes seconds."""
    spec = find_spec("mlflow")
    assert spec is not None and spec.origin is not None
    return f'"{name}"' in Path(spec.origin).with_name("environment_variables.py").read_text(encoding="utf-8")


def test_every_variable_that_it_sets_is_read_by_someone() -> None:
    ours = {name for name in parsed().envs if name.startswith(("MEDARTS_", "OPTUNA_", "MLFLOW_"))}
    assert ours >= {"MEDARTS_DATA_DIR", "MLFLOW_TRACKING_URI", "OPTUNA_STORAGE", "MLFLOW_DISABLE_TELEMETRY"}
    read = option_variables()
    assert [name for name in sorted(ours - read) if not (name.startswith("MLFLOW_") and mlflow_knows(name))] == []


def test_the_lock_satisfies_every_range_of_the_project() -> None:
    found, locked = project(), pins()
    ranges = [*found["project"]["dependencies"], *found["project"]["optional-dependencies"]["postgres"]]
    for requirement in map(Requirement, [*ranges, *found["build-system"]["requires"]]):
        version = locked.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} is not locked"
        assert requirement.specifier.contains(version), f"{requirement} is locked to {version}"


def test_the_lock_holds_nothing_but_exact_versions() -> None:
    header, *lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    assert header.startswith("# ")
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line)] == []


@pytest.fixture
def replay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Carries out the steps of a Dockerfile in an empty folder, as `make container` does."""
    monkeypatch.syspath_prepend(str(ROOT / ".ci"))
    image_replay = importlib.import_module("image_replay")
    (tmp_path / "root").mkdir()

    def steps(*lines: str) -> None:
        (tmp_path / "Dockerfile").write_text("\n".join(lines), encoding="utf-8")
        image_replay.Image(tmp_path, tmp_path / "root").replay(lambda seconds, what: None)

    return steps


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("HEALTHCHECK NONE",), r"line 1: HEALTHCHECK NONE\nthe replay does not know HEALTHCHECK"),
        (("FROM python:2.7-slim-bookworm AS build",), r"can't stand for python:2\.7-slim-bookworm"),
        (("ARG A=1", "ENV B=/var/lib/b"), r"line 2: .*\nthe replay has no folder for '/var/lib/b'"),
        (("RUN --mount=type=secret,id=x true",), r"does not know --mount=type=secret,id=x"),
        (("COPY --chown=1:1 a ./",), r"does not know --chown=1:1"),
        (("COPY --from=nowhere /src /src",), r"of an earlier stage"),
        (("USER medarts",), r"USER NUMBER:NUMBER only"),
        (("RUN echo the reason && exit 3",), r"the reason\nexit code 3"),
    ],
)
def test_the_replay_refuses_what_it_does_not_know_and_says_what_failed(
    replay: Callable[..., None], lines: tuple[str, ...], message: str
) -> None:
    with pytest.raises(Exception, match=message) as caught:
        replay(*lines)
    assert type(caught.value).__name__ == "ReplayError"


def test_the_replay_copies_only_what_dockerignore_lets_in(replay: Callable[..., None], tmp_path: Path) -> None:
    (tmp_path / ".dockerignore").write_text("# all but\n*\n!kept\n**/__pycache__\n", encoding="utf-8")
    for name in ("kept/a", "kept/__pycache__/b", "left"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    replay("WORKDIR /src", "COPY kept ./kept")
    assert [str(path.relative_to(tmp_path / "root/src")) for path in (tmp_path / "root").rglob("[ab]")] == ["kept/a"]
    with pytest.raises(Exception, match=r"left is not there, or left out by \.dockerignore"):
        replay("COPY left ./")
