"""YAML as people mean it: `off` is a word, `1e-3` a number, a key that stands twice an error."""

from __future__ import annotations

import re
from typing import Any

import yaml

from medarts_ops.errors import ConfigError


def _core_schema() -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    """PyYAML's table from a scalar's first character to (tag, pattern), for YAML 1.2's core schema."""
    scalars = (
        ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
        ("null", r"null|Null|NULL|~|", "nN~"),
        ("int", r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
        ("float", r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
    )
    table: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
    for name, pattern, starts in scalars:
        for start in [*starts, ""] if name == "null" else starts:
            table.setdefault(start, []).append((f"tag:yaml.org,2002:{name}", re.compile(rf"^(?:{pattern})$")))
    return table


class _CoreSchemaLoader(yaml.SafeLoader):
    """SafeLoader without YAML 1.1's surprises, where `amp: off` is false, `12:30` is 750 and `1e-3` a string."""

    yaml_implicit_resolvers = _core_schema()

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A mapping whose keys are strings and all different: PyYAML keeps the last one and says nothing."""
        mapping: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key is no plain word", key_node.start_mark)
            if key_node.value in mapping:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key_node.value!r} is set twice", key_node.start_mark
                )
            mapping[key_node.value] = self.construct_object(value_node, deep=True)
        return mapping


def parse_yaml(text: str, source: str) -> Any:
    """The plain value (mapping, list, string, number, bool or None) that `text` holds.

    Args:
        text: YAML, one document.
        source: what the error calls it, such as a file's name.

    Raises:
        ConfigError: the text is no YAML, or a key stands twice in one mapping.
    """
    try:
        # A subclass of SafeLoader: it builds plain values only.
        return yaml.load(text, Loader=_CoreSchemaLoader)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(f"{source}{line} can't be read as YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{source} can't be read as YAML: {' '.join(str(error).split())}") from error
