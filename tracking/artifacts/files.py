"""An artifact's file, which others may have written: its path stays inside its run, its JSON within limits.

An artifact that is a JSON object says what it is and of which version its shape is; `unversioned` reads that.
"""

from __future__ import annotations

import json
import math
import reprlib
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Any

from medarts_ops.errors import RunError

MAX_ARTIFACT_BYTES = 8 * 2**20
"""The largest artifact that is read back: ours have some hundred KiB, α of every epoch a few MiB at most."""

MAX_PATH = 200

MAX_NESTING = 16
"""Levels of a JSON artifact that is read back: ours have six at most."""

VERSION = 1
"""Of the shape of our artifacts. Those of the first releases have no version written in them: they are of version 1."""

_FORMAT_FIELD, _VERSION_FIELD = "format", "version"


def versioned(file_name: str, data: dict[str, Any]) -> dict[str, Any]:
    """The data of an artifact with what it is (`medarts-alpha` for `alpha.json`) and its version in front."""
    return {_FORMAT_FIELD: f"medarts-{PurePosixPath(file_name).stem}", _VERSION_FIELD: VERSION, **data}


def unversioned(data: Any, source: str) -> Any:
    """The inverse of `versioned`; data without a version, and lists, which have no place for one, are of version 1.

    `source` is what errors call it.

    Raises:
        RunError: of a newer version, or of one that is no version.
    """
    if not isinstance(data, dict):
        return data
    version = data.get(_VERSION_FIELD, VERSION)
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise RunError(
            f"{source} is of version {reprlib.repr(version)}: allowed is a whole number from 1 to {VERSION}; restore "
            "what was logged"
        )
    if version > VERSION:
        raise RunError(
            f"{source} is of version {reprlib.repr(version)}: this release reads up to version {VERSION}; read it "
            "with the release that wrote it, or a newer one"
        )
    return {key: value for key, value in data.items() if key not in (_FORMAT_FIELD, _VERSION_FIELD)}


def inner_path(path: str) -> PurePosixPath:
    """An artifact's path, held inside its run.

    Raises:
        RunError: empty, absolute, with a drive or scheme, with `..` (written out or as `%2e`), or not printable.
    """
    target = PurePosixPath(path)
    leaves = not target.parts or target.is_absolute() or ".." in target.parts
    if leaves or set(path) & set("\\:%") or not path.isprintable() or len(path) > MAX_PATH:
        raise RunError(
            f"artifact path {path[:MAX_PATH]!r} is not allowed: give a relative path inside the run, without '..'"
        )
    return target


def parse_json(content: bytes, source: str) -> Any:
    """The data of a JSON artifact that others may have written, without its version; `source` is what errors call it.

    Raises:
        RunError: more than `MAX_ARTIFACT_BYTES`, nested deeper than `MAX_NESTING`, of a newer version, or no JSON; NaN
            and infinity are none.
    """
    if len(content) > MAX_ARTIFACT_BYTES:
        raise RunError(f"{source} has {len(content)} bytes: allowed are {MAX_ARTIFACT_BYTES}; restore what was logged")
    try:
        data = json.loads(content, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise RunError(
            f"{source} is no JSON ({' '.join(str(error).split())[:200]}): allowed is what this package logged"
        ) from error
    level = [data]
    for _ in range(MAX_NESTING):
        level = [child for parent in level for child in _children(parent)]
    if level:
        raise RunError(f"{source} nests deeper than {MAX_NESTING} levels: allowed is what this package logged")
    return unversioned(data, source)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _children(data: Any) -> Iterable[Any]:
    if isinstance(data, dict):
        return data.values()
    return data if isinstance(data, list) else ()


def without_nan(data: Any) -> Any:
    """A copy of plain data with null where a number is NaN or infinite: JSON has no word for those."""
    if isinstance(data, dict):
        return {key: without_nan(value) for key, value in data.items()}
    if isinstance(data, list):
        return [without_nan(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data
