"""What a sweep varies, and the grid of all combinations."""

from __future__ import annotations

import re
from typing import Any

import pytest

from medarts_ops.configs.vary import (
    LONGEST_SUBJECT,
    Axis,
    assignment,
    axes_of,
    check_nothing_is_set_twice,
    grid,
    parse_vary,
)
from medarts_ops.errors import ConfigError
from medarts_ops.experiments.network import LONGEST_NAME, distinct_names


def axis(path: str, *values: Any) -> Axis:
    return Axis("search", path, values, path)


@pytest.mark.parametrize(
    ("text", "path", "values"),
    [
        ("strategy.order=first,second", "strategy.order", ("first", "second")),
        ("weights.lr=0.025, 1e-1", "weights.lr", (0.025, 0.1)),
        ("objectives=[accuracy],[accuracy, params]", "objectives", (["accuracy"], ["accuracy", "params"])),
        (
            "proposals.space={},{alpha_lr: {low: 1, high: 2}}",
            "proposals.space",
            ({}, {"alpha_lr": {"low": 1, "high": 2}}),
        ),
        ("dataset.resolution=~,16", "dataset.resolution", (None, 16)),
        ("stages.0.epochs=3", "stages.0.epochs", (3,)),
        (" amp = off ", "amp", ("off",)),
    ],
)
def test_values_are_yaml_and_commas_in_brackets_part_none(text: str, path: str, values: tuple[Any, ...]) -> None:
    assert parse_vary(text) == (path, values)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("weights.lr", "has no values: allowed is PATH=V1,V2"),
        ("weights.lr=", "has no list of values, got []"),
        ("=1,2", "is no path: allowed is dotted.path"),
        ("weights..lr=1", "is no path"),
        ("a\x1b=1", "is no path"),
        ("weights.lr=[1", "can't be read as YAML"),
        ("weights.lr=1],[2", "can't be read as YAML"),
        ("weights.lr=*a", "alias"),
    ],
)
def test_what_is_no_path_with_values_is_refused(text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(why)):
        parse_vary(text)


def test_all_combinations_in_order_the_last_axis_first() -> None:
    points = grid([axis("strategy.order", "first", "second"), axis("weights.lr", 0.1, 0.2)])
    assert [point.values for point in points] == [("first", 0.1), ("first", 0.2), ("second", 0.1), ("second", 0.2)]
    assert [point.name for point in points][:2] == ["order-first.lr-0.1", "order-first.lr-0.2"]
    assert points[0].subject == "strategy.order=first, weights.lr=0.1"


def test_axes_of_one_last_word_are_named_in_full() -> None:
    (point,) = grid([axis("weights.lr", 0.1), axis("alpha.lr", 0.2)])
    assert point.name == "weights.lr-0.1.alpha.lr-0.2"
    assert [each.name for each in grid([axis("stages.0.epochs", 1), axis("stages.1.epochs", 2)])] == [
        "stages.0.epochs-1.stages.1.epochs-2"
    ]


def test_without_an_axis_there_is_one_point() -> None:
    assert [(point.name, point.values) for point in grid([])] == [("as-given", ())]


def test_names_are_short_of_few_letters_and_all_different() -> None:
    wished = ["a b", "a/b", "…", "x" * 200, "x" * 201, "-x", "lr--1", "lr-1", "a" * LONGEST_NAME]
    names = distinct_names(wished)
    assert len(set(names)) == len(wished)
    assert all(re.fullmatch(rf"[A-Za-z0-9_][A-Za-z0-9_.-]{{0,{LONGEST_NAME - 1}}}", name) for name in names)
    assert (names[0], names[-1]) == ("a-b", "a" * LONGEST_NAME)


def test_a_subject_is_cut_where_it_is_too_long_to_read() -> None:
    (point,) = grid([axis("objectives", ["accuracy"] * 50)])
    assert point.subject.startswith("objectives=[accuracy, accuracy, ") and len(point.subject) == LONGEST_SUBJECT + 1


def test_too_many_combinations_are_refused_before_they_are_made() -> None:
    with pytest.raises(ConfigError, match="1,000,000,000 combinations"):
        grid([axis(f"a{number}", *range(1000)) for number in range(3)])


def test_a_value_is_assigned_as_it_is() -> None:
    from medarts_ops.configs.layers import parse_assignment

    for value in (None, True, "off", "ü…", 3, 0.1, ["a", {"b": 1e-9}], "a: b # c"):
        assert parse_assignment(assignment(axis("x.y", value), value)) == ("x.y", value)


def test_paths_of_the_evaluation_lose_their_prefix() -> None:
    varied = {"strategy.order": ("first",), "evaluate.epochs": (1, 2)}
    assert [axis[:2] for axis in axes_of(varied, "search", with_evaluation=True)] == [
        ("search", "strategy.order"),
        ("evaluate", "epochs"),
    ]
    assert [axis[:2] for axis in axes_of({"epochs": (1,)}, "evaluate", with_evaluation=False)] == [
        ("evaluate", "epochs")
    ]


@pytest.mark.parametrize(
    ("paths", "why"),
    [
        (("seed",), "give them by --seeds"),
        (("evaluate.epochs",), "add --evaluate"),
        (("strategy", "strategy.order"), "about the same setting"),
        (("stages.0", "stages.0.epochs"), "about the same setting"),
    ],
)
def test_contradicting_paths_are_refused(paths: tuple[str, ...], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        axes_of(dict.fromkeys(paths, (1,)), "search", with_evaluation=False)


def test_a_search_and_its_evaluation_have_one_preset() -> None:
    with pytest.raises(ConfigError, match="one preset"):
        axes_of({"evaluate.preset": ("digits",)}, "search", with_evaluation=True)


@pytest.mark.parametrize("path", ["weights.lr", "weights", "weights.lr.more"])
def test_what_is_varied_and_set_is_refused(path: str) -> None:
    with pytest.raises(ConfigError, match="weights.lr is varied, and --set sets"):
        check_nothing_is_set_twice([axis("weights.lr", 1)], {"search": [(path, "--set")]})
    check_nothing_is_set_twice(
        [axis("weights.lr", 1)], {"search": [("weights.lr_min", "--set")], "evaluate": [(path, "")]}
    )
