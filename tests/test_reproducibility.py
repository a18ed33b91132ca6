"""The record of what it takes to get the same bits again."""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from factories import make_dataset_summary, make_evaluation_runtime, make_search_config_tiny
from pydantic import ValidationError

from medarts_ops.cli.main import medarts
from medarts_ops.config import EvaluateConfig, ResolvedEvaluateConfig, ResolvedSearchConfig
from medarts_ops.config_runtime import (
    EvaluationRuntimeConfig,
    ResolvedSearchRuntime,
    SearchRuntimeConfig,
)
from medarts_ops.provenance import git_branch, git_commit, git_is_dirty, installed_version
from medarts_ops.reproducibility import ReproducibilityRecord, reproducibility_record
from medarts_ops.resolving import resolve_config_alone, resolve_evaluate_config

SEARCH = make_search_config_tiny(seed=3)
EVALUATION = ResolvedEvaluateConfig(seed=4, runtime=make_evaluation_runtime())
CONFIGS = {"search": SEARCH, "evaluation": EVALUATION}


@pytest.fixture(autouse=True)
def process_as_it_was() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)


def recorded(
    config: ResolvedSearchConfig | ResolvedEvaluateConfig = SEARCH, **runtime: object
) -> ReproducibilityRecord:
    asked = config.model_copy(update={"runtime": config.runtime.model_copy(update=runtime)})
    return reproducibility_record(asked, make_dataset_summary())


@pytest.mark.parametrize("kind", CONFIGS)
def test_the_record_names_seed_data_settings_and_machine(kind):
    config = CONFIGS[kind]
    record = recorded(config)
    assert (record.kind, record.seed) == (kind, config.seed)
    assert (record.dataset, record.fingerprint) == ("digits", make_dataset_summary().fingerprint)
    assert record.runtime == config.runtime and type(record.runtime) is type(config.runtime)
    assert record.packages["torch"] == version("torch") and record.packages["mlflow"] == version("mlflow")
    assert record.python == platform.python_version()
    assert record.gpu is None
    assert timedelta(0) <= datetime.now(UTC) - record.started < timedelta(minutes=1)


@pytest.mark.parametrize("kind", CONFIGS)
def test_the_record_goes_through_json_unchanged(kind):
    record = recorded(CONFIGS[kind])
    again = ReproducibilityRecord.model_validate_json(record.model_dump_json())
    assert again == record and type(again.runtime) is type(record.runtime)


@pytest.mark.parametrize("wrong", [{"version": 2}, {"format": "medarts-evaluation"}, {"password": "secret"}])
def test_a_file_of_another_kind_is_no_record(wrong):
    with pytest.raises(ValidationError):
        ReproducibilityRecord.model_validate({**recorded().model_dump(), **wrong})


@pytest.mark.parametrize("deterministic", [False, True, False])
def test_flags_are_those_that_the_training_runs_under(deterministic):
    record = recorded(threads=2, workers=2, deterministic=deterministic)
    assert isinstance(record.runtime, ResolvedSearchRuntime)
    assert record.runtime.deterministic == record.numerics.deterministic_algorithms == deterministic
    assert record.runtime.threads == record.numerics.threads == torch.get_num_threads() == 2
    assert record.numerics.cpu_capability == torch.backends.cpu.get_cpu_capability()


def test_a_resolved_config_is_recorded_as_it_is():
    search = resolve_config_alone(
        SEARCH.model_copy(update={"runtime": SearchRuntimeConfig(device="cpu", stack=1)}), (8, 8)
    )
    evaluation = resolve_evaluate_config(EvaluateConfig(runtime=EvaluationRuntimeConfig(device="cpu")), (8, 8))
    for config in (search, evaluation):
        assert recorded(config).numerics.threads == config.runtime.threads


def test_only_variables_that_choose_numbers_are_recorded(monkeypatch):
    monkeypatch.setenv("MKL_CBWR", "AVX2")
    monkeypatch.delenv("ATEN_CPU_CAPABILITY", raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "secret")
    record = recorded()
    assert record.environment["MKL_CBWR"] == "AVX2"
    assert "ATEN_CPU_CAPABILITY" not in record.environment
    assert "secret" not in record.model_dump_json()


def test_the_files_name_sorts_by_the_start_wherever_it_was():
    started = datetime(2026, 11, 25, 1, 30, 5, 42_999, tzinfo=timezone(timedelta(hours=2)))
    record = reproducibility_record(SEARCH, make_dataset_summary(), started)
    assert record.file_name == "20261124T233005.042Z.json"
    assert record.model_copy(update={"started": started}).file_name == record.file_name
    later = reproducibility_record(SEARCH, make_dataset_summary(), started + timedelta(milliseconds=1))
    assert later.file_name > record.file_name  # two starts within a second are two


def git(*words: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *identity, *words], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a repository of one file and one commit."""
    monkeypatch.chdir(tmp_path)
    git("init", "-b", "work")
    (tmp_path / "mine.yaml").write_text("search: {seed: 1}\n", encoding="utf-8")
    git("add", "mine.yaml")
    git("commit", "-m", "first")
    return tmp_path


def test_the_commit_of_the_current_folder_is_recorded(repository):
    record = recorded()
    assert (record.git_commit, record.git_dirty) == (git("rev-parse", "HEAD"), False)
    assert git_branch() == "work"


def test_a_changed_file_makes_it_dirty_and_results_do_not(repository):
    (repository / "mlflow.db").write_bytes(b"results")
    assert git_is_dirty() is False
    (repository / "mine.yaml").write_text("search: {seed: 2}\n", encoding="utf-8")
    assert recorded().git_dirty is True


def test_a_repositorys_own_monitor_is_not_started(repository):
    monitor = repository / "monitor.sh"
    monitor.write_text("#!/bin/sh\ntouch started\n", encoding="utf-8")
    monitor.chmod(0o755)
    git("config", "core.fsmonitor", str(monitor))
    git("status")
    assert (repository / "started").exists()
    (repository / "started").unlink()
    assert git_is_dirty() is False
    assert not (repository / "started").exists()


def test_without_a_repository_or_git_nothing_is_claimed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    record = recorded()
    assert (record.git_commit, record.git_dirty) == (None, None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (git_commit(), git_branch(), git_is_dirty()) == (None, None, None)


def test_what_is_not_installed_has_no_version():
    assert installed_version("medarts-no-such-thing") is None


@pytest.mark.parametrize("section", ["search", "evaluate"])
@pytest.mark.parametrize("deterministic", [False, True])
def test_the_option_is_the_setting(section, deterministic):
    words = ["--deterministic"] if deterministic else []
    shown = CliRunner().invoke(medarts, ["config", "show", section, "--json", *words])
    (row,) = (row for row in json.loads(shown.stdout) if row["path"] == "runtime.deterministic")
    assert (row["value"], row["changed_by"]) == (deterministic, "option" if deterministic else "default")
    assert row["origin"] == "ours"


@pytest.mark.parametrize("words", [["search"], ["evaluate"], ["bench", "search"], ["bench", "evaluate"]])
def test_every_verb_that_trains_has_the_option(words):
    assert "--deterministic" in CliRunner().invoke(medarts, [*words, "--help"]).stdout
