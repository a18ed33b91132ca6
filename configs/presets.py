"""The presets that ship, and files of the same form: sections `search` and `evaluate`, and `extends`."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, NamedTuple

from medarts_ops.configs.layers import deep_merge
from medarts_ops.configs.yaml_text import MAX_CHARACTERS, parse_yaml
from medarts_ops.errors import ConfigError, unknown_name

Section = Literal["search", "evaluate"]
SECTIONS: tuple[Section, ...] = ("search", "evaluate")
DEFAULT_PRESET = "digits"

MAX_BYTES = 4 * MAX_CHARACTERS  # UTF-8's worst case


class SettingsFile(NamedTuple):
    """What a preset or a `--config` file says: the preset below it, if any, and its sections (empty where absent)."""

    extends: str | None
    search: dict[str, Any]
    evaluate: dict[str, Any]

    def section(self, section: Section) -> dict[str, Any]:
        """The settings of one section."""
        return self.search if section == "search" else self.evaluate


def preset_names() -> tuple[str, ...]:
    """The names of all presets, sorted."""
    file_names = [entry.name for entry in files("medarts_ops.configs").iterdir()]
    return tuple(sorted(name.removesuffix(".yaml") for name in file_names if name.endswith(".yaml")))


def dataset_names() -> list[str]:
    """The datasets that have a preset of their own name."""
    return [preset for preset in preset_names() if preset_dataset(preset) == preset]


def preset_for_dataset(name: str) -> str:
    """The preset that a dataset takes when none is named: the one of its own name.

    Raises:
        ConfigError: there is none, so the dataset is unknown.
    """
    if name not in (datasets := dataset_names()):
        raise ConfigError(f"dataset.name: {unknown_name('dataset', name, datasets)}")
    return name


def preset_dataset(name: str) -> str:
    """The dataset that a preset searches on."""
    dataset = preset_section(name, "search").get("dataset", {})
    return str(dataset.get("name", DEFAULT_PRESET))


def preset_section(name: str, section: Section) -> dict[str, Any]:
    """The settings of one section of a preset, with those of the presets it extends below.

    Raises:
        ConfigError: the preset, or one that it extends, is unknown or broken, or they extend each other in a circle.
    """
    return _stacked(name, section, ())


def read_settings_file(path: Path) -> SettingsFile:
    """What a `--config` file says.

    Raises:
        ConfigError: the file can't be read, is no YAML, or is not made of the sections that a preset has.
    """
    return parse_settings_file(read_yaml_file(path, "config file"), f"config file {path.name}")


def read_yaml_file(path: Path, kind: str) -> str:
    """The text of a file of that kind; a ConfigError if it can't be read or is too large."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise ConfigError(
                f"{kind} {str(path)!r} has more than {MAX_BYTES} bytes: allowed is a YAML file of settings"
            )
        text = content.decode("utf-8")
    except (OSError, ValueError) as error:  # ValueError: no UTF-8, or a NUL in the path
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise ConfigError(f"{kind} {str(path)!r} can't be read: {reason}; give a YAML file") from error
    return text


def parse_settings_file(text: str, source: str) -> SettingsFile:
    """The parts of a preset's or config file's text; `source` is what errors call it.

    Raises:
        ConfigError: no YAML, an unknown part (with the near miss), or a part of the wrong kind.
    """
    return parse_parts(text, source, ())[0]


def parse_parts(text: str, source: str, more: Sequence[str]) -> tuple[SettingsFile, dict[str, Any]]:
    """As `parse_settings_file`, of a file that may have `more` parts; those that it has come second."""
    parts = parse_yaml(text, source)
    parts = {} if parts is None else parts
    if not isinstance(parts, dict):
        raise ConfigError(
            f"{source} holds {reprlib.repr(parts)}: allowed are the sections {', '.join((*SECTIONS, *more))}"
        )
    allowed = ("extends", *SECTIONS, *more)
    for part in parts:
        if part not in allowed:
            raise ConfigError(
                f"{source}: {unknown_name('section', part, allowed)}; settings stand inside search: or evaluate:"
            )
    extends = parts.get("extends")
    if extends is not None and not isinstance(extends, str):
        raise ConfigError(f"{source}: extends is {reprlib.repr(extends)}, allowed is the name of one preset")
    sections = {section: {} if parts.get(section) is None else parts[section] for section in SECTIONS}
    for section, settings in sections.items():
        if not isinstance(settings, dict):
            raise ConfigError(f"{source}: {section} is {reprlib.repr(settings)}, allowed is a mapping of settings")
    return SettingsFile(extends, **sections), {part: parts[part] for part in more if part in parts}


def _stacked(name: str, section: Section, above: tuple[str, ...]) -> dict[str, Any]:
    if name in above:
        raise ConfigError(f"presets extend each other in a circle: {' → '.join([*above, name])}; drop one extends")
    preset = _read_preset(name)
    below = {} if preset.extends is None else _stacked(preset.extends, section, (*above, name))
    return deep_merge(below, preset.section(section))


def _read_preset(name: str) -> SettingsFile:
    names = preset_names()
    if name not in names:
        raise ConfigError(unknown_name("preset", name, names))
    text = files("medarts_ops.configs").joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    return parse_settings_file(text, f"preset {name}")
