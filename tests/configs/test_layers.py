"""Merging layers and setting single values by path."""

from __future__ import annotations

from typing import Any

import pytest

from medarts_ops.configs.layers import deep_merge, leaves, nested, parse_assignment, replacements, with_setting
from medarts_ops.errors import ConfigError


def test_mappings_merge_key_by_key() -> None:
    assert deep_merge({"a": {"x": 1, "y": 2}, "b": 3}, {"a": {"y": 5}}) == {"a": {"x": 1, "y": 5}, "b": 3}


def test_an_empty_mapping_replaces_what_was_there() -> None:
    assert deep_merge({"proposals": {"space": {"lr": 1}, "n": 2}}, {"proposals": {"space": {}}}) == {
        "proposals": {"space": {}, "n": 2}
    }


def test_the_proposals_space_is_one_setting_that_a_layer_gives_as_a_whole() -> None:
    below = {"proposals": {"space": {"alpha_lr": {"low": 1}, "weights_lr": {"low": 2}}, "generations": 1}}
    given = {"alpha_lr": {"low": 3}}
    whole = {"proposals": {"space": given, "generations": 1}}
    assert deep_merge(below, {"proposals": {"space": given}}) == whole
    assert with_setting(below, "proposals.space", given) == whole
    inside = with_setting(below, "proposals.space.alpha_lr.low", 3)
    assert inside["proposals"]["space"] == {"alpha_lr": {"low": 3}, "weights_lr": {"low": 2}}


def test_a_list_replaces_the_list_below() -> None:
    assert deep_merge({"stages": [1, 2, 3]}, {"stages": [4]}) == {"stages": [4]}


def test_merging_changes_neither_layer() -> None:
    lower: dict[str, Any] = {"a": {"x": [1]}}
    upper: dict[str, Any] = {"a": {"y": [2]}}
    merged = deep_merge(lower, upper)
    merged["a"]["x"].append(9)
    merged["a"]["y"].append(9)
    assert (lower, upper) == ({"a": {"x": [1]}}, {"a": {"y": [2]}})


def test_a_number_in_a_path_is_an_index() -> None:
    settings = {"stages": [{"epochs": 5}, {"epochs": 6}]}
    assert with_setting(settings, "stages.1.epochs", 2) == {"stages": [{"epochs": 5}, {"epochs": 2}]}
    assert settings["stages"][1]["epochs"] == 6


def test_a_path_makes_the_mappings_that_it_needs() -> None:
    assert with_setting({}, "proposals.space.alpha_lr.low", 1) == nested("proposals.space.alpha_lr.low", 1)


def test_a_mapping_is_laid_over_and_an_empty_one_clears() -> None:
    assert with_setting({"a": {"x": 1}}, "a", {"y": 2}) == {"a": {"x": 1, "y": 2}}
    assert with_setting({"a": {"x": 1}}, "a", {}) == {"a": {}}


@pytest.mark.parametrize("path", ["stages.2.epochs", "stages.-1.epochs", "stages.init.epochs", "stages.2"])
def test_an_index_outside_the_list_is_refused_with_the_range(path: str) -> None:
    with pytest.raises(ConfigError, match=r"stages is a list, got index .*, allowed are 0 to 1") as caught:
        with_setting({"stages": [{}, {}]}, path, 1)
    assert str(caught.value).startswith(f"{path}: ")


def test_an_empty_list_has_no_index() -> None:
    with pytest.raises(ConfigError, match=r"stages.0: stages is empty"):
        with_setting({"stages": []}, "stages.0", 1)


@pytest.mark.parametrize("path", ["seed.x", "seed.x.y", "stages.0.epochs.x"])
def test_a_single_setting_has_no_parts(path: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{path}: .* is a single setting .* and has no parts"):
        with_setting({"seed": 0, "stages": [{"epochs": 5}]}, path, 1)


@pytest.mark.parametrize("text", ["stages", "=3", "a..b=3", ".a=3", "a.=3", ""])
def test_what_is_no_assignment_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigError, match=r"allowed is dotted.path=value, such as stages.0.epochs=2"):
        parse_assignment(text)


def test_the_value_of_an_assignment_may_hold_an_equals_sign() -> None:
    assert parse_assignment("dataset.data=/a=b") == ("dataset.data", "/a=b")


def test_replacements_end_at_lists_and_leaves_go_into_them() -> None:
    settings = {"a": {"b": 1, "c": {}}, "stages": [{"x": 1}, {"y": 2}], "names": ["p"]}
    assert [path for path, _ in replacements(settings)] == ["a.b", "a.c", "stages", "names"]
    assert list(leaves(settings["stages"], "stages")) == ["stages.0.x", "stages.1.y"]
    assert list(leaves(settings["names"], "names")) == ["names"]
