"""Config files, `--set` texts and options, good and bad: 2,000 cases each."""

from __future__ import annotations

import functools
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from fuzzing import FUZZED, PIECES, SCALARS, mutated, nested, read_or_refused, with_replaced_part
from hypothesis import given
from hypothesis import strategies as st

from medarts_ops.config import EvaluateConfig, SearchConfig
from medarts_ops.config_parsing import parse_config
from medarts_ops.configs.loader import load_evaluate_config, load_search_config
from medarts_ops.configs.presets import MAX_BYTES, parse_settings_file, preset_names
from medarts_ops.configs.yaml_text import parse_yaml
from medarts_ops.errors import ConfigError

WORDS = "search evaluate extends dataset name stages epochs images population survivors space nodes primitives".split()
WORDS += "proposals alpha_lr low high objectives runtime device seed weights lr str int [key]".split()
WORDS += ["digits", "cifar10", "accuracy", "params", "auto", "skip_connect", "0", "1", "-1", "²", "9" * 5000]
WORD = st.sampled_from(WORDS)
PRESETS = {
    name: files("medarts_ops.configs").joinpath(f"{name}.yaml").read_text(encoding="utf-8") for name in preset_names()
}
PATHS = st.lists(WORD | st.text(max_size=5), min_size=1, max_size=5).map(".".join)
YAML_PIECES = st.sampled_from(
    [
        "a: ",
        "- ",
        "\n",
        "  ",
        "{",
        "}",
        "[",
        "]",
        "&x ",
        "*x",
        "<<: *x",
        "!!set ",
        "!!binary ",
        "? ",
        "|\n",
        ">\n",
        "%TAG ",
    ]
    + [
        "---\n",
        "...\n",
        ".inf",
        ".nan",
        "0x1F",
        "1e999",
        "9" * 5000,
        "1_0",
        "'",
        '"',
        "#",
        "@",
        "`",
        "\t",
        "\x85",
        "\ufeff",
    ]
)


@functools.cache
def dumped(section: str) -> dict[str, Any]:
    """All settings of a section, as plain data."""
    config = SearchConfig() if section == "search" else EvaluateConfig()
    return config.model_dump(mode="json")


@FUZZED
@given(st.text(max_size=200) | st.lists(YAML_PIECES | WORD | PIECES, max_size=25).map("".join))
def test_any_text_is_plain_data_or_refused(text: str) -> None:
    data = read_or_refused(lambda: parse_yaml(text, "config file x.yaml"))
    yaml.safe_dump(data)  # plain data only: nothing that a tag made


@FUZZED
@given(
    st.sampled_from(sorted(PRESETS)).flatmap(lambda name: mutated(PRESETS[name])),
    st.sampled_from(["search", "evaluate"]),
)
def test_a_changed_preset_is_a_config_or_refused(text: str, section: str) -> None:
    def load() -> None:
        settings = parse_settings_file(text, "config file x.yaml")
        if section == "search":
            load_search_config(settings.extends, options=settings.search)
        else:
            load_evaluate_config(settings.extends, options=settings.evaluate)

    read_or_refused(load)


@FUZZED
@given(st.data(), st.sampled_from(["search", "evaluate"]))
def test_changed_settings_are_a_config_or_refused(data: st.DataObject, section: str) -> None:
    settings = data.draw(with_replaced_part(dumped(section), nested(WORD)))
    if isinstance(settings, dict):
        model = SearchConfig if section == "search" else EvaluateConfig
        config = read_or_refused(lambda: parse_config(model, settings))
        assert config is None or model.model_validate_json(config.model_dump_json()) == config


@FUZZED
@given(st.dictionaries(WORD | st.text(max_size=8), nested(WORD), max_size=4))
def test_any_options_are_a_config_or_refused(options: dict[str, Any]) -> None:
    read_or_refused(lambda: load_search_config(options=options))


@FUZZED
@given(st.lists(st.tuples(PATHS, st.text(max_size=12) | PIECES | nested(WORD).map(str) | SCALARS.map(str)), max_size=4))
def test_any_assignments_are_a_config_or_refused(pairs: list[tuple[str, str]]) -> None:
    sets = [f"{path}={value}" for path, value in pairs]
    read_or_refused(lambda: load_search_config("digits", sets=sets))


@FUZZED
@given(st.text(max_size=60))
def test_any_assignment_text_is_a_config_or_refused(text: str) -> None:
    read_or_refused(lambda: load_evaluate_config("digits", sets=[text]))


LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{new}: &{new} [*{old}, *{old}, *{old}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LAUGHS, r"line 2 .*alias .* not allowed"),
        ("a: !!python/object/apply:os.system [x]", "tag .* not allowed"),
        ("a: !!timestamp 2026-11-25", "tag .* not allowed"),
        ("[" * 10_000, "nest deeper than the 16 levels"),
        ("- " * 10_000 + "x", "nest deeper than the 16 levels"),
        ("seed: " + "9" * 5000, "5000 digits, allowed are 18"),
        ("k" * 900 + ": 1", "a key is longer than 100"),
        ('"a\\nb": 1', "not printable"),
        ("x" * 70_000, "70000 characters: allowed are 65536"),
    ],
)
def test_yaml_that_unfolds_or_makes_objects_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_yaml(text, "config file x.yaml")


@pytest.mark.parametrize("path", ["a" * 300, ".".join("a" * 50), "a\nb", "stages." + "9" * 180])
def test_a_path_that_no_setting_has_is_refused(path: str) -> None:
    with pytest.raises(ConfigError):
        load_search_config("digits", sets=[f"{path}=1"])


@pytest.mark.parametrize(
    ("content", "message"), [(b"#" * (MAX_BYTES + 1), "more than 262144 bytes"), (b"\xff", "no UTF-8")]
)
def test_a_file_that_is_no_config_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_bytes(content)
    with pytest.raises(ConfigError, match=re.compile(message)):
        load_search_config(config_file=tmp_path / "x.yaml")
