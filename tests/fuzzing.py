"""What the fuzzers share: how many cases, how long one may take, and the promise that every reader is held to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from medarts_ops.errors import MedartsError

Read = TypeVar("Read")

FUZZED = settings(
    max_examples=2_000,
    deadline=2_000,  # milliseconds a case: a reader that hangs or unfolds its input fails
    derandomize=True,  # the same cases on every machine
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)

LONGEST_MESSAGE = 6_000
"""Characters: an error repeats a cut of what it was given, not all of it."""

NUMBERS = st.integers() | st.floats() | st.sampled_from([10**400, -(10**400), 10**18, 2**63, -1, 0])
SCALARS = st.none() | st.booleans() | NUMBERS | st.text(max_size=20)


def nested(words: st.SearchStrategy[str], leaves: st.SearchStrategy[Any] = SCALARS) -> st.SearchStrategy[Any]:
    """Lists and mappings in each other, with `words` among the keys."""
    keys = words | st.text(max_size=8)
    return st.recursive(
        leaves | words,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
        max_leaves=12,
    )


def read_or_refused(reader: Callable[[], Read]) -> Read | None:
    """What `reader` returns; None if it refused its input as it should, in one bounded line of a MedartsError."""
    try:
        return reader()
    except MedartsError as error:
        message = str(error)
        assert message and len(message) <= LONGEST_MESSAGE
        assert "\n" not in message
        return None


@st.composite
def mutated(draw: st.DrawFn, valid: str) -> str:
    """`valid` with one to four pieces cut out, doubled, or replaced."""
    text = valid
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        stop = min(len(text), start + draw(st.integers(0, 12)))
        piece = draw(st.sampled_from(["", text[start:stop] * 2]) | st.text(max_size=6) | PIECES)
        text = text[:start] + piece + text[stop:]
    return text


PIECES = st.sampled_from(
    ["[", "]", "{", "}", "(", ")", ",", ":", '"', "'", "\\", "-", "*a", "&a", "!!python/name:os.system", "NaN", "1e999"]
    + [
        "null",
        "true",
        "9" * 5000,
        "[" * 500,
        "{a: " * 200,
        "- " * 300,
        "-" * 3000,
        "\0",
        "\ud800",
        "é",
        "\n",
        "\t",
        "#",
    ]
)


@st.composite
def with_replaced_part(draw: st.DrawFn, valid: Any, replacement: st.SearchStrategy[Any]) -> Any:
    """A copy of JSON data in which one part, at any depth, is replaced, left out or joined by another."""
    if isinstance(valid, dict) and valid and draw(st.integers(0, 5)):
        key = draw(st.sampled_from(sorted(valid)))
        rest = {name: value for name, value in valid.items() if name != key}
        match draw(st.integers(0, 6)):
            case 0:
                return rest
            case 1:
                return valid | {draw(st.text(max_size=8)): draw(replacement)}
        return rest | {key: draw(with_replaced_part(valid[key], replacement))}
    if isinstance(valid, list) and valid and draw(st.integers(0, 5)):
        index = draw(st.integers(0, len(valid) - 1))
        match draw(st.integers(0, 6)):
            case 0:
                return valid[:index] + valid[index + 1 :]
            case 1:
                return valid[:index] + [draw(replacement)] + valid[index:]
        return valid[:index] + [draw(with_replaced_part(valid[index], replacement))] + valid[index + 1 :]
    return draw(replacement)
