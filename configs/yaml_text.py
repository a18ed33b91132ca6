"""YAML as people mean it: `off` is a word, `1e-3` a number, a key that stands twice an error."""

from __future__ import annotations

import re
from typing import Any

import yaml

from medarts_ops.errors import ConfigError

MAX_CHARACTERS = 64 * 1024
MAX_DEPTH = 16
MAX_DIGITS = 18
"""Digits of a whole number: what fits 64 bits."""
MAX_KEY = 100


_CORE_SCHEMA = (
    ("bool", r"true|True|TRUE|false|False|FALSE", [*"tTfF"]),
    ("null", r"null|Null|NULL|~|", [*"nN~", ""]),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", [*"-+0123456789"]),
    ("float", r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?", [*"-+.0123456789"]),
)
"""YAML 1.2's: what a scalar's tag, its pattern and its first character are; what is empty has none."""


class _CoreSchemaLoader(yaml.SafeLoader):
    """SafeLoader without YAML 1.1's surprises, where `amp: off` is false, `12:30` is 750 and `1e-3` a string."""

    yaml_implicit_resolvers = {
        start: [
            (f"tag:yaml.org,2002:{name}", re.compile(rf"^(?:{pattern})$"))
            for name, pattern, starts in _CORE_SCHEMA
            if start in starts
        ]
        for start in [*"tTfFnN~-+.0123456789", ""]
    }

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """A node of bounded depth. Aliases and tags are refused: a few lines of them unfold to any size or type."""
        event = self.peek_event()  # type: ignore[no-untyped-call]  # PyYAML's stubs leave it untyped
        if isinstance(event, yaml.AliasEvent):
            raise _refusal("an alias (*name) is not allowed, write the value out", event.start_mark)
        if event.tag is not None:
            raise _refusal("a tag (!name) is not allowed, write a plain value", event.start_mark)
        if self._depth == MAX_DEPTH:
            raise _refusal(f"values nest deeper than the {MAX_DEPTH} levels that are allowed", event.start_mark)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        if isinstance(node, yaml.ScalarNode) and node.tag.endswith(":int") and len(node.value) > MAX_DIGITS:
            raise _refusal(f"a number has {len(node.value)} digits, allowed are {MAX_DIGITS}", node.start_mark)
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A mapping whose keys are strings and all different: PyYAML keeps the last one and says nothing."""
        mapping: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key, mark = key_node.value, key_node.start_mark
            if not isinstance(key_node, yaml.ScalarNode):
                raise _refusal("a key is no plain word", mark)
            if len(key) > MAX_KEY or not key.isprintable():
                raise _refusal(f"a key is longer than {MAX_KEY} characters or not printable: {key[:MAX_KEY]!r}", mark)
            if key in mapping:
                raise _refusal(f"{key!r} is set twice", mark)
            mapping[key] = self.construct_object(value_node, deep=True)
        return mapping


def parse_yaml(text: str, source: str) -> Any:
    """The plain value (mapping, list, string, number, bool or None) that `text`, one document, holds.

    Limits, since the text may be anybody's: 64 Ki characters, 16 levels, whole numbers of 18 digits, keys of 100
    printable characters, no aliases, no tags. `source` is what errors call it, such as a file's name.

    Raises:
        ConfigError: the text is no YAML, is beyond a limit, or a key stands twice in one mapping.
    """
    if len(text) > MAX_CHARACTERS:
        raise ConfigError(f"{source} has {len(text)} characters: allowed are {MAX_CHARACTERS}; keep settings only")
    try:
        # A subclass of SafeLoader: it builds plain values only.
        return yaml.load(text, Loader=_CoreSchemaLoader)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(f"{source}{line} can't be read as YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{source} can't be read as YAML: {' '.join(str(error).split())}") from error


def _refusal(problem: str, mark: Any) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, problem, mark)
