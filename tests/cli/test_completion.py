"""What the shell offers, asked through click's own completion."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.shell_completion import ShellComplete
from factories import make_search_events
from journals import write_journal

from medarts_ops.cli.main import medarts
from medarts_ops.configs.presets import preset_names


def offered(*words: str) -> list[str]:
    """For the last of the words, which is being typed."""
    completion = ShellComplete(medarts, {}, "medarts", "_MEDARTS_COMPLETE")
    return [item.value for item in completion.get_completions(list(words[:-1]), words[-1])]


@pytest.mark.parametrize("verb", ["show", "evaluate", "export", "report", "resume", "delete", "compare"])
def test_jobs_of_a_local_store_are_offered_and_below_a_search_its_parts(
    stored: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    monkeypatch.chdir(tmp_path)
    place = (verb, "--tracking-uri", stored.uri)
    assert offered(*place, "") == ["evaluate-test", "search-told"]
    assert offered(*place, "se") == ["search-told"]
    assert offered(*place, "search-told/init") == [f"search-told/init-0{number}" for number in range(3)]
    assert offered(*place, "search-told/s") == ["search-told/stage-init", "search-told/stage-final"]


def test_jobs_of_the_work_directory_are_offered_where_no_store_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert offered("show", "") == offered("sync", "") == []
    write_journal(tmp_path / "work", "mine", make_search_events("mine"))
    assert offered("resume", "--work-dir", "work", "m") == offered("sync", "--work-dir", "work", "") == ["mine"]
    (tmp_path / "mlflow.db").write_text("no database")
    assert offered("show", "") == offered("show", "--tracking-uri", "http://127.0.0.1:1", "") == []
    assert not (tmp_path / "medarts-work").exists()


def test_presets_datasets_and_genotypes_are_offered() -> None:
    assert offered("search", "--preset", "") == list(preset_names())
    assert offered("search", "--dataset", "") == ["cifar10", "cifar100", "digits", "folder", "npz"]
    assert "DARTS_V2" in offered("evaluate", "--genotype", "DARTS") and offered("genotypes", "PDAR") == ["PDARTS"]


def test_settings_are_offered_by_their_paths_those_of_the_verb_and_of_the_stages_that_its_preset_has() -> None:
    assert offered("search", "--set", "weights.lr") == ["weights.lr=", "weights.lr_min="]
    assert offered("evaluate", "--set", "auxiliary") == ["auxiliary.weight="]
    assert offered("search", "--preset", "random", "--set", "stages.") != offered("search", "--set", "stages.")
    assert offered("search", "--preset", "nonsense", "--set", "stages.") == []


def test_a_key_press_loads_nothing_heavy() -> None:
    script = (
        "import sys; from click.shell_completion import ShellComplete; from medarts_ops.cli.main import medarts;"
        "completion = ShellComplete(medarts, {}, 'medarts', 'X');"
        "completion.get_completions(['show'], 's'); completion.get_completions(['search', '--set'], 's');"
        "assert not {'mlflow', 'torch', 'optuna', 'pandas', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
