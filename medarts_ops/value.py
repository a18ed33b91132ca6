"""The base of all values that travel between rooms: frozen, checked on entry, exact in and out of JSON."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, PlainSerializer, PlainValidator


class Value(BaseModel):
    """A frozen value. `model_dump_json` and `model_validate_json` carry it exactly.

    Infinite numbers (the crowding distance at the end of a front) travel as the string "Infinity".
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


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
