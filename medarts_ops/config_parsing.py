"""Plain settings into a config, with errors that name the dotted path, the value got, and the near miss."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from medarts_ops.errors import ConfigError
from medarts_ops.hyperparameters import HYPERPARAMETERS

Model = TypeVar("Model", bound=BaseModel)

MAX_EXPLAINED = 10
MAX_SHOWN = 200  # characters of a wrong value that a message repeats


def parse_config(model: type[Model], settings: Mapping[str, Any], place: str = "") -> Model:
    """Check `settings` against `model`; `place` is the dotted path at which they stand, if not at the top.

    Raises:
        ConfigError: names every wrong field (ten at most) by its dotted path, with what was given, what is allowed
            and, for an unknown key, the near miss.
    """
    try:
        return model.model_validate(dict(settings))
    except ValidationError as error:
        lines = list(dict.fromkeys(_explain(model, detail, place) for detail in error.errors(include_url=False)))
        further = [f"and {len(lines) - MAX_EXPLAINED} more"] if len(lines) > MAX_EXPLAINED else []
        raise ConfigError("; ".join(lines[:MAX_EXPLAINED] + further)) from error


def _explain(model: type[BaseModel], detail: ErrorDetails, within: str) -> str:
    place, forbidden = detail["loc"], detail["type"] == "extra_forbidden"
    wrong_key = not forbidden and place[-1:] == ("[key]",)  # pydantic's mark for a key that a dict does not allow
    place = place[:-1] if wrong_key else place
    # Union members add parts such as "constrained-int" to the path; an unknown key is the user's word, even `int`.
    unknown = place[-1:] if wrong_key or forbidden else ()
    parts = [str(part) for part in place[: len(place) - len(unknown)] if not _names_a_union_member(part)]
    parts += map(str, unknown)
    above = [within] if within else []
    path = ".".join(above + parts) or "config"
    if unknown:
        allowed = list(HYPERPARAMETERS) if wrong_key else _fields_at(model, parts[:-1])
        near = difflib.get_close_matches(parts[-1], allowed, n=1)
        hint = f"; did you mean {'.'.join([*above, *parts[:-1], near[0]])!r}?" if near else ""
        return f"unknown setting {_cut(path)!r}: allowed here are {', '.join(sorted(allowed))}{hint}"
    message = detail["msg"].removeprefix("Value error, ")
    got = detail["input"]
    is_single = not isinstance(got, Mapping | BaseModel) and detail["type"] != "missing"
    shown = f", got {_cut(repr(got))}" if is_single else ""
    return f"{path}: {message[0].lower()}{message[1:]}{shown}"


def _cut(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


def _names_a_union_member(part: int | str) -> bool:
    return isinstance(part, str) and (part.startswith(("constrained-", "literal[")) or part in ("int", "float", "str"))


def _fields_at(model: type[BaseModel], path: Sequence[str]) -> list[str]:
    for part in path:
        if part.isdigit():
            continue
        found = _model_in(model.model_fields[part].annotation) if part in model.model_fields else None
        if found is None:
            return list(HYPERPARAMETERS) if part == "space" else []
        model = found
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, getattr(annotation, "__args__", ()))), None)
