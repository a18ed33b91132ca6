"""An artifact's file, which others may have written: its path stays inside its run, its JSON within limits."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Any

from medarts_ops.errors import RunError

MAX_ARTIFACT_BYTES = 8 * 2**20
"""The largest artifact that is read back: ours have some hundred KiB at most."""

MAX_PATH = 200

MAX_NESTING = 16
"""Levels of a JSON artifact that is read back: ours have six at most."""


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
    """The data of a JSON artifact that others may have written; `source` is what errors call it.

    Raises:
        RunError: more than `MAX_ARTIFACT_BYTES`, nested deeper than `MAX_NESTING`, or no JSON; NaN and infinity are
            none.
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
    return data


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _children(data: Any) -> Iterable[Any]:
    if isinstance(data, dict):
        return data.values()
    return data if isinstance(data, list) else ()
