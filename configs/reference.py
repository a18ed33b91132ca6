"""The page of all settings, `docs/settings.md`, from the models themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from medarts_ops.config import EvaluateConfig, SearchConfig
from medarts_ops.config_writing import shown
from medarts_ops.objectives.registry import OBJECTIVES
from medarts_ops.space.search_space import OPERATIONS, PRIMITIVES
from medarts_ops.strategies.registry import STRATEGIES

Schema = Mapping[str, Any]

INTRODUCTION = """# Settings

Written by `make docs` from the models themselves; a test holds it to that. `--set PATH=VALUE` takes each path, a file
for `--config` has them nested (`medarts config show --yaml`). `N` in a path is a place in a list, from 0. Presets set
some of them: `medarts config show --preset NAME`.

*default from*: the paper (ME-DARTS), DARTS, whose settings the paper follows, the publication of a strategy, or ours,
where all are silent.
"""

OBJECTIVES_INTRODUCTION = """## Objectives

Naming one is enough, `--set 'objectives=[accuracy, latency]'`; `direction` overrides the natural one. More are added as
[extending.md](extending.md) says.

| objective | better | what it is |
|---|---|---|"""

STRATEGIES_INTRODUCTION = """
## Strategies

`--set strategy.name=NAME`; their settings stand above. More are added as [extending.md](extending.md) says.

| strategy | what it is |
|---|---|"""

OPERATIONS_INTRODUCTION = """
## Operations

What `space.primitives` may name, in any order; `none` is an edge that is left out.

| operation | of the DARTS space, the default |
|---|---|"""

BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<", "pattern": "like"}


class _Row(NamedTuple):
    path: str
    default: str
    allowed: str
    origin: str
    description: str


def settings_reference() -> str:
    """All settings of a search and of an evaluation, as Markdown: path, default, what is allowed, origin, meaning."""
    parts = [INTRODUCTION]
    for title, model in (("A search", SearchConfig), ("An evaluation", EvaluateConfig)):
        schema = model.model_json_schema()
        rows = _rows(schema, schema["$defs"], "", {})
        parts.append(f"## {title}\n\n{_table(rows)}")
    objectives = [f"| `{name}` | {data.direction} | {data.description} |" for name, data in OBJECTIVES.built_in.items()]
    strategies = [f"| `{name}` | {_first_line(settings)} |" for name, settings in STRATEGIES.built_in.items()]
    operations = [f"| `{name}` | {'yes' if name in PRIMITIVES else ''} |" for name in OPERATIONS]
    tables = [OBJECTIVES_INTRODUCTION, *objectives, STRATEGIES_INTRODUCTION, *strategies]
    return "\n".join([*parts, *tables, OPERATIONS_INTRODUCTION, *operations, ""])


def _first_line(part: type) -> str:
    return (part.__doc__ or "").strip().partition("\n")[0]


def _rows(schema: Schema, models: Schema, prefix: str, defaults: Schema) -> Iterator[_Row]:
    for name, property in schema["properties"].items():
        path, default = f"{prefix}{name}", defaults.get(name, property.get("default"))
        if "$ref" in property:
            yield from _rows(models[property["$ref"].rpartition("/")[2]], models, f"{path}.", default or {})
            yield from _rows_of_strategies() if path == "strategy" else ()
            continue
        entries = property.get("items", {})
        group = next((each["$ref"] for each in property.get("oneOf", ()) if "$ref" in each), None)
        said = _shown(default) if "$ref" not in entries else f"{len(default or ())} entries"
        yield _Row(path, said, _allowed(property), property.get("origin", "-"), property.get("description", ""))
        if "$ref" in entries:
            yield from _rows(models[entries["$ref"].rpartition("/")[2]], models, f"{path}.N.", {})
        if group is not None:
            yield from _rows(models[group.rpartition("/")[2]], models, f"{path}.", {})


def _rows_of_strategies() -> Iterator[_Row]:
    """What strategies have beside their names; what several have alike stands once."""
    having: dict[_Row, list[str]] = {}
    for name in STRATEGIES.names():
        for row in _rows(STRATEGIES.get(name).model_json_schema(), {}, "strategy.", {}):
            if row.path != "strategy.name":
                having.setdefault(row, []).append(name)
    for row, names in having.items():
        yield row._replace(description=f"{', '.join(names)}: {row.description}")


def _allowed(schema: Schema) -> str:
    if alternatives := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(_allowed(each) for each in alternatives)
    if "$ref" in schema:
        return "a group"
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    if "const" in schema:
        return str(schema["const"])
    kind = {"null": "empty", "integer": "whole number", "string": "text", "array": "list", "object": "mapping"}
    name = str(schema.get("type", ""))
    said = [kind.get(name, name)]
    said += [f"{sign} {_shown(schema[bound])}" for bound, sign in BOUNDS.items() if bound in schema]
    return " ".join(said)


def _shown(value: Any) -> str:
    large = isinstance(value, int) and value >= 10_000
    return f"{value:,}" if large else shown(tuple(value) if isinstance(value, list) else value)


def _table(rows: Iterator[_Row]) -> str:
    lines = ["| setting | default | allowed | default from | what it is |", "|---|---|---|---|---|"]
    cells = ([f"`{row.path}`", *(text.replace("|", "\\|") for text in row[1:])] for row in rows)
    return "\n".join([*lines, *(f"| {' | '.join(texts)} |" for texts in cells), ""])
