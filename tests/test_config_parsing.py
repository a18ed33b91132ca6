"""Bad values in our words: where, what is allowed, what was given."""

from __future__ import annotations

import re
from typing import Any

import pytest

from medarts_ops.config import EvaluateConfig, SearchConfig
from medarts_ops.config_parsing import parse_config
from medarts_ops.config_writing import settings_of
from medarts_ops.configs.layers import with_setting
from medarts_ops.errors import ConfigError

ODD: tuple[Any, ...] = ("None", "", "odd\udce9", -1, 0, 1.5, 10**30, float("nan"), None, True, [3], {"a": 1}, {}, [])
PYDANTICS = re.compile(
    r"[Ii]nput should|valid (tuple|dict|list|str|int|num|bool)|should (be|have|match)|[Ff]ield req|pydantic"
)


def message(settings: dict[str, Any], model: Any = SearchConfig) -> str:
    try:
        parse_config(model, settings)
    except ConfigError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("model", [SearchConfig, EvaluateConfig])
def test_no_setting_answers_a_bad_value_in_words_for_programmers(model: Any) -> None:
    settings = model().model_dump(mode="json")
    paths = [path for path, *_ in settings_of(model())]
    groups = {path.rpartition(".")[0] for path in paths if "." in path}
    told = [message(with_setting(settings, path, odd), model) for path in sorted({*paths, *groups}) for odd in ODD]
    assert sum(map(bool, told)) > len(paths)
    assert [line for line in told if PYDANTICS.search(line)] == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"dataset": {"resolution": "None"}}, "dataset.resolution: allowed is a whole number, or null, got 'None'"),
        ({"objectives": [3]}, "objectives.0: allowed is a group of settings: name, direction, got 3"),
        ({"stages": 3}, "stages: allowed is a list, got 3"),
        ({"runtime": {"workers": "many"}}, "runtime.workers: allowed is a whole number, or 'auto', got 'many'"),
        (
            {"runtime": {"device": "gpu"}},
            "runtime.device: allowed is auto, cpu, cuda, cuda:N or cards for a search's "
            "workers such as cuda:0,cuda:2, got 'gpu'",
        ),
        ({"proposals": {"space": {"alpha_lr": {"low": 1}}}}, "proposals.space.alpha_lr.high: is missing: give it"),
        ({"dataset": {"test_share": 1}}, "dataset.test_share: allowed is less than 1, got 1"),
        ({"derived": {"least_steps": True}}, "derived.least_steps: allowed is a whole number, got 'True'"),
        ({"max_skips": False}, "max_skips: allowed is a whole number, or null, got 'False'"),
        ({"runtime": {"channels_last": "x"}}, "runtime.channels_last: allowed is true or false, or 'auto', got 'x'"),
        ({"runtime": {"workers": True}}, "runtime.workers: allowed is a whole number, or 'auto', got 'True'"),
        ({"weights": {"lr": True}}, "weights.lr: allowed is a number, got 'True'"),
        (
            {"runtime": {"budget": True}},
            "runtime.budget.seconds: allowed is a time, such as 2h, or a number of seconds, got True",
        ),
    ],
)
def test_a_bad_value_is_told_with_what_is_allowed(settings: dict[str, Any], said: str) -> None:
    assert message(settings) == said


def test_a_name_stands_for_a_strategy_and_for_objectives() -> None:
    parsed = parse_config(SearchConfig, {"strategy": "darts", "objectives": ["accuracy", "params"]})
    assert parsed == SearchConfig()
    alone = parse_config(SearchConfig, {"objectives": "accuracy"})
    assert [each.name for each in alone.objectives] == ["accuracy"]


def test_no_budget_is_a_job_without_end() -> None:
    assert parse_config(SearchConfig, {"runtime": {"budget": None}}) == SearchConfig()


def test_a_key_that_looks_like_pydantics_mark_is_an_unknown_setting() -> None:
    assert message({"[key]": None}).startswith("unknown setting '[key]': allowed here are alpha, ")
