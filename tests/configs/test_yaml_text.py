"""YAML as people mean it."""

from __future__ import annotations

import pytest

from medarts_ops.configs.yaml_text import parse_yaml
from medarts_ops.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("off", "off"),
        ("no", "no"),
        ("12:30", "12:30"),
        ("2026-11-25", "2026-11-25"),
        ("true", True),
        ("1e-3", 0.001),
        ("-2.5E+2", -250.0),
        ("3", 3),
        ("010", "010"),
        ("", None),
        ("~", None),
        ("'3'", "3"),
        ("[1, off]", [1, "off"]),
    ],
)
def test_a_scalar_is_what_it_looks_like(text: str, value: object) -> None:
    parsed = parse_yaml(text, "here")
    assert parsed == value
    assert type(parsed) is type(value)


def test_keys_are_always_words() -> None:
    assert parse_yaml("{1: a, true: b}", "here") == {"1": "a", "true": "b"}


def test_a_key_that_stands_twice_is_refused_with_its_line() -> None:
    with pytest.raises(ConfigError, match=r"here, line 3 can't be read as YAML: 'lr' is set twice"):
        parse_yaml("alpha:\n  lr: 1\n  lr: 2\n", "here")


@pytest.mark.parametrize("text", ["a: [1", "{", "!!python/object:os.system x", "? [a]\n: b", "a\0b"])
def test_what_is_no_plain_yaml_is_one_line_of_config_error(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text, "config file my.yaml")
    assert "config file my.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)
