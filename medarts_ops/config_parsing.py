"""Plain settings into a config, with errors that name the dotted path, the value got, and the near miss."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from medarts_ops.errors import ConfigError
from medarts_ops.hyperparameters import HYPERPARAMETERS, HyperparameterName

Model = TypeVar("Model", bound=BaseModel)

MAX_EXPLAINED = 10
MAX_SHOWN = 200  # characters of a wrong value that a message repeats


_ALLOWED = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text",
    "string_unicode": "text in UTF-8",
    "string_too_long": "text of at most {max_length} characters",
    "tuple_type": "a list",
    "dict_type": "a group of settings",
    "model_type": "a group of settings",
    "literal_error": "{expected}",
    "greater_than": "more than {gt}",
    "greater_than_equal": "{ge} or more",
    "less_than": "less than {lt}",
    "less_than_equal": "{le} or less",
}
"""What a setting may be, by pydantic's name of the error; it has words of its own, which are for programmers."""


def parse_config(model: type[Model], settings: Mapping[str, Any], place: str = "") -> Model:
    """Check `settings` against `model`; `place` is the dotted path at which they stand, if not at the top.

    Raises:
        ConfigError: names every wrong field (ten at most) by its dotted path, with what was given, what is allowed
            and, for an unknown key, the near miss.
    """
    try:
        return model.model_validate(dict(settings))
    except ValidationError as error:
        lines = _lines(model, error.errors(include_url=False), place)
        further = [f"and {len(lines) - MAX_EXPLAINED} more"] if len(lines) > MAX_EXPLAINED else []
        raise ConfigError("; ".join(lines[:MAX_EXPLAINED] + further)) from error


def _lines(model: type[BaseModel], details: Sequence[ErrorDetails], within: str) -> list[str]:
    """A line for each wrong setting: where one may be this or that, pydantic has an error for each."""
    told: dict[str, list[str]] = {}
    shown: dict[str, str] = {}
    for detail in details:
        parts, unknown = _place(detail)
        path = ".".join([within, *parts] if within else parts) or "config"
        if unknown is not None:
            told.setdefault(_unknown(model, parts, unknown, within), [])
            continue
        message, allowed = _explained(model, parts, detail)
        line = f"{path}: {message}"
        told.setdefault(line, []).extend(allowed)
        got = detail["input"]
        is_single = not isinstance(got, Mapping | BaseModel) and detail["type"] != "missing"
        shown[line] = f", got {_cut(repr(got))}" if is_single else ""
    return [f"{line}{', or '.join(dict.fromkeys(allowed))}{shown.get(line, '')}" for line, allowed in told.items()]


def _place(detail: ErrorDetails) -> tuple[list[str], str | None]:
    """The path of a setting; where the key itself is wrong, that of its group, and the key."""
    place, is_forbidden = detail["loc"], detail["type"] == "extra_forbidden"
    wrong_key = not is_forbidden and place[-1:] == ("[key]",)  # pydantic's mark for a key that a dict does not allow
    place = place[:-1] if wrong_key else place
    is_unknown = wrong_key or is_forbidden
    # Union members add parts such as "constrained-int" to the path; an unknown key is the user's word, even `int`.
    last = [place[-1]] if is_unknown else []
    parts = [str(part) for part in place[: len(place) - len(last)] if not _names_a_union_member(part)]
    return parts, str(last[0]) if is_unknown else None


def _unknown(model: type[BaseModel], parts: list[str], unknown: str, within: str) -> str:
    above = [within, *parts] if within else parts
    allowed = _fields_at(model, parts)
    groups = [group for group in allowed if unknown in _fields_at(model, [*parts, group])]
    near = [f"{groups[0]}.{unknown}"] if groups else difflib.get_close_matches(unknown, allowed, n=1)
    hint = f"; did you mean {'.'.join([*above, near[0]])!r}?" if near else ""
    path = _cut(".".join([*above, unknown]))
    return f"unknown setting {path!r}: allowed here are {', '.join(sorted(allowed))}{hint}"


def _explained(model: type[BaseModel], parts: list[str], detail: ErrorDetails) -> tuple[str, list[str]]:
    """The beginning of a line, and what the setting may be, which the line goes on with."""
    field = _field_at(model, parts)
    if detail["type"] == "missing":
        return "is missing: give it", []
    if detail["type"] == "string_pattern_mismatch" and field is not None:
        allowed = field.description or ""  # it says in words what the pattern says
    elif detail["type"] in _ALLOWED:
        allowed = _ALLOWED[detail["type"]].format(**_limits(detail))
    else:
        message = detail["msg"].removeprefix("Value error, ")
        return f"{message[0].lower()}{message[1:]}", []
    groups = ", ".join(_fields_at(model, parts)) if detail["type"] in ("dict_type", "model_type") else ""
    null = ["null"] if field is not None and type(None) in get_args(field.annotation) else []
    return "allowed is ", [f"{allowed}: {groups}" if groups else allowed, *null]


def _limits(detail: ErrorDetails) -> dict[str, Any]:
    """What an error says of its bounds; a bound of a fraction that is whole is written as such."""
    known = detail.get("ctx", {})
    return {name: f"{value:g}" if isinstance(value, float) else value for name, value in known.items()}


def _cut(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


def _names_a_union_member(part: int | str) -> bool:
    return isinstance(part, str) and (
        part.startswith(("constrained-", "literal[")) or part in ("int", "float", "bool", "str", "dict")
    )


def _fields_at(model: type[BaseModel], path: Sequence[str]) -> list[str]:
    """The settings of a group, or of each in a list; none below what is no group."""
    field = _field_at(model, path)
    if path and not path[-1].isdigit() and field is not None and get_origin(field.annotation) is dict:
        return list(HYPERPARAMETERS) if get_args(field.annotation)[0] == HyperparameterName else []
    found = _group_at(model, path)
    return [] if found is None else list(found.model_fields)


def _field_at(model: type[BaseModel], path: Sequence[str]) -> FieldInfo | None:
    """The field of a setting; None for an entry of a list, or below what is no group."""
    above = _group_at(model, path[:-1])
    return None if above is None or not path else above.model_fields.get(path[-1])


def _group_at(model: type[BaseModel], path: Sequence[str]) -> type[BaseModel] | None:
    found: type[BaseModel] | None = model
    is_entry = False
    for part in path:
        if is_entry or part.isdigit():  # of a mapping that is no group, or of a list
            is_entry = False
            continue
        field = None if found is None else found.model_fields.get(part)
        found = None if field is None else _model_in(field.annotation)
        is_entry = field is not None and get_origin(field.annotation) is dict
    return found


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, getattr(annotation, "__args__", ()))), None)
