"""The base of all values that travel between rooms: frozen, checked on entry, exact in and out of JSON."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, PlainSerializer, PlainValidator


class Value(BaseModel):
    """A frozen value. `model_dump_json` and `model_validate_json` carry it exactly.

    Infinite numbers (the crowding distance at the end of a front) travel as the string "Infinity".

    `added_later` names the fields that a release after the first one brought: see `identity_of`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")
    added_later: ClassVar[frozenset[str]] = frozenset()


def identity_of(value: Value, *, without: frozenset[str]) -> str:
    """A hash of all that `value` says, but for the fields `without`: equal ones have done equal work.

    A field in its class's `added_later` does not count, at whatever depth, while it is at its default: what began
    under a release that did not know the field goes on under one that does.
    """
    left_out = {**_added_at_default(value), **dict.fromkeys(without, True)}
    return hashlib.sha256(value.model_dump_json(exclude=left_out).encode()).hexdigest()


def _added_at_default(value: object) -> dict[Any, Any]:
    """What to exclude from a dump of `value`, in pydantic's nested form."""
    parts: list[tuple[Any, object]] = []
    found: dict[Any, Any] = {}
    match value:
        case Value():
            fields = type(value).model_fields
            later = {name for name in value.added_later if getattr(value, name) == fields[name].get_default()}
            found = dict.fromkeys(later, True)
            parts = [(name, part) for name, part in value if name not in later]
        case tuple():
            parts = list(enumerate(value))
        case dict():
            parts = list(value.items())
    return found | {key: nested for key, part in parts if (nested := _added_at_default(part))}


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
