"""The lines of a journal's file: each bears a digest of itself and of all before it; what a crash tore is left out."""

from __future__ import annotations

import hashlib
import json

from medarts_ops.value import Value

UNWRITTEN = bytes(16)
"""A loss of power may leave so many zeros where a file grew and nothing was written; no line of ours holds one."""

_DIGEST = b',"digest":"'


def sealed(value: Value, before: str) -> tuple[bytes, str]:
    """The line of a value, and its digest, which covers `before`, too: the digest of the line before, if any.

    So a line that was changed, moved, doubled or removed is found where that was done.
    """
    return _sealed(value.model_dump_json().encode().removesuffix(b"}"), before)


def unsealed(line: bytes, before: str) -> tuple[bytes, str] | None:
    """The JSON of a line without its digest, and that digest; None if it is not the line that was written there."""
    body, _, _ = line.rpartition(_DIGEST)
    written, digest = _sealed(body, before)
    return (body + b"}", digest) if written == line else None


def whole_lines(content: bytes) -> list[bytes]:
    """Lines with their line ends, without a torn last one: a line's end is the last of it that is written."""
    *whole, _ = content.split(b"\n")
    if whole and UNWRITTEN in whole[-1]:
        whole.pop()
    return [line + b"\n" for line in whole]


def is_json(line: bytes) -> bool:
    """Whether a line can be read at all."""
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _sealed(body: bytes, before: str) -> tuple[bytes, str]:
    digest = hashlib.sha256(before.encode() + body).hexdigest()
    return b'%s%s%s"}\n' % (body, _DIGEST, digest.encode()), digest
