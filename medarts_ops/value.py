"""The base of all values that travel between rooms: frozen, checked on entry, exact in and out of JSON."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, PlainSerializer, PlainValidator

Some = TypeVar("Some", bound="Value")


class Value(BaseModel):
    """A frozen value. `model_dump_json` and `model_validate_json` carry it exactly.

    Infinite numbers (the crowding distance at the end of a front) travel as the string "Infinity".

    `without_effect` names the fields that change no result, `added_later` those that a release after the first one
    brought: see `identity_of`. `as_before` has what those mean that work otherwise by default than that release did.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")
    without_effect: ClassVar[frozenset[str]] = frozenset()
    added_later: ClassVar[frozenset[str]] = frozenset()
    as_before: ClassVar[Mapping[str, object]] = {}


def identity_of(value: Value) -> str:
    """A hash of all in `value` that has an effect: equal ones have done equal work.

    At whatever depth, a field of its class's `without_effect` does not count, and one of `added_later` not while it is
    at its default, or at what `as_before` has: what began under a release that did not know the field goes on under one
    that does.
    """
    return hashlib.sha256(value.model_dump_json(exclude=_left_out(value)).encode()).hexdigest()


def as_older_release(value: Some) -> Some:
    """Defaults as a release meant them that knew none of the fields of `as_before`, at whatever depth."""
    parts = {name: as_older_release(part) for name, part in value if isinstance(part, Value)}
    return value.model_copy(update={**parts, **value.as_before})


def _left_out(value: object) -> dict[Any, Any]:
    """What to exclude from a dump of `value`, in pydantic's nested form."""
    parts: list[tuple[Any, object]] = []
    found: dict[Any, Any] = {}
    match value:
        case Value():
            fields = type(value).model_fields
            before = {**{name: fields[name].get_default() for name in value.added_later}, **value.as_before}
            later = {name for name, meaning in before.items() if getattr(value, name) == meaning}
            found = dict.fromkeys(value.without_effect | later, True)
            parts = [(name, part) for name, part in value if name not in found]
        case tuple():
            parts = list(enumerate(value))
        case dict():
            parts = list(value.items())
    return found | {key: nested for key, part in parts if (nested := _left_out(part))}


def _finite_float32(raw: Any) -> NDArray[np.float32]:
    try:
        with np.errstate(over="ignore"):  # what float32 can't hold becomes infinite, which is refused below
            array: NDArray[np.float32] = np.array(raw, dtype=np.float32)  # a copy: nobody else can change it
    except (TypeError, OverflowError) as error:  # pydantic names the field for a ValueError only
        raise ValueError(f"holds something else than numbers ({error})") from error
    if not np.isfinite(array).all():
        raise ValueError("holds NaN or infinity; allowed are finite numbers")
    array.setflags(write=False)
    return array


def _to_lists(array: NDArray[Any]) -> Any:
    return array.tolist()


def _bools(raw: Any) -> NDArray[np.bool_]:
    array = np.array(raw)
    if array.dtype != np.bool_:
        raise ValueError(f"holds {array.dtype}; allowed are true and false")
    array.setflags(write=False)
    return array


FloatArray = Annotated[NDArray[np.float32], PlainValidator(_finite_float32), PlainSerializer(_to_lists)]
"""A read-only finite float32 array. float32 → Python float → JSON → float32 is exact."""

BoolArray = Annotated[NDArray[np.bool_], PlainValidator(_bools), PlainSerializer(_to_lists)]
"""A read-only array of bools."""
