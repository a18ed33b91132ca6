"""The file of a sweep."""

from __future__ import annotations

from pathlib import Path

import pytest

from medarts_ops.configs.presets import SettingsFile
from medarts_ops.configs.sweep_file import parse_sweep_file, read_sweep_file
from medarts_ops.errors import ConfigError

WHOLE = """
extends: digits
search: {strategy: {order: first}}
evaluate: {epochs: 2}
vary:
  weights.lr: [0.025, 0.1]
  objectives: [[accuracy], [accuracy, params]]
seeds: 0-2
evaluate_found: true
"""


def test_a_file_says_settings_what_is_varied_seeds_and_whether_to_evaluate(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(WHOLE)
    said = read_sweep_file(tmp_path / "mine.yaml")
    assert said.settings == SettingsFile("digits", {"strategy": {"order": "first"}}, {"epochs": 2})
    assert said.vary == {"weights.lr": (0.025, 0.1), "objectives": (["accuracy"], ["accuracy", "params"])}
    assert (said.seeds, said.evaluate_found) == ((0, 1, 2), True)


@pytest.mark.parametrize("text", ["", "search: {retries: 1}", "vary:", "vary: {}"])
def test_all_of_it_may_be_missing(text: str) -> None:
    said = parse_sweep_file(text, "sweep file x")
    assert (said.vary, said.seeds, said.evaluate_found) == ({}, None, False)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("vari: {}", "did you mean 'vary'"),
        ("vary: [weights.lr]", "vary is ['weights.lr'], allowed is a mapping of paths to lists"),
        ("vary: {weights.lr: 0.1}", "vary weights.lr has no list of values, got 0.1"),
        ("vary: {weights.lr: []}", "has no list of values"),
        ("vary: {weights..lr: [1]}", "is no path"),
        ("seeds: 4-0", "seeds is '4-0'"),
        ("evaluate_found: maybe", "evaluate_found is 'maybe', allowed is true or false"),
        ("search: 3", "search is 3"),
        ("- 1", "allowed are the sections search, evaluate, vary, seeds, evaluate_found"),
    ],
)
def test_a_wrong_part_is_one_line_that_names_the_file(text: str, why: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_sweep_file(text, "sweep file x")
    assert str(refused.value).startswith("sweep file x") and why in str(refused.value)


def test_a_file_that_is_not_there_is_called_a_sweep_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="sweep file .* can't be read: No such file"):
        read_sweep_file(tmp_path / "none.yaml")
