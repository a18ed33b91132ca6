"""Genotype texts, good and bad: 2,000 cases each."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from fuzzing import FUZZED, mutated, nested, read_or_refused
from hypothesis import given
from hypothesis import strategies as st

from medarts_ops.errors import GenotypeError
from medarts_ops.space.formats import MAX_BYTES, format_darts, parse_genotype
from medarts_ops.space.genotype import SELECTABLE, Genotype
from medarts_ops.space.search_space import MAX_NODES
from medarts_ops.space.zoo import zoo

PRINTED = format_darts(zoo()["DARTS_V2"].genotype)
FLAT = zoo()["DARTS_V2"].genotype.model_dump_json()
FRAGMENTS = st.sampled_from(
    [
        "Genotype(",
        "normal=",
        "reduce=",
        "normal_concat=",
        "range(2, 6)",
        "range(0, 10**9)",
        "('skip_connect', 0)",
        "[",
        "]",
    ]
    + [
        "(",
        ")",
        "{",
        "}",
        ",",
        ":",
        "lambda: ",
        "-" * 999,
        "1+" * 999,
        "x." * 999,
        "f'{",
        "}'",
        "not " * 500,
        "\0",
        "\ud800",
    ]
    + [
        "__import__('os').system('x')",
        "**",
        "*",
        "9" * 5000,
        '"normal"',
        "# -*- coding: utf-7 -*-\n",
        "yield ",
        "await ",
    ]
)


@st.composite
def cells(draw: st.DrawFn) -> tuple[tuple[tuple[str, int], ...], tuple[int, ...]]:
    """A possible cell of 1 to 16 nodes, and what it concatenates."""
    nodes = draw(st.integers(1, MAX_NODES))
    pairs = [(draw(st.sampled_from(SELECTABLE)), draw(st.integers(0, 1 + n // 2))) for n in range(2 * nodes)]
    concat = draw(st.lists(st.integers(2, 1 + nodes), unique=True, min_size=1))
    return tuple(pairs), tuple(concat)


@FUZZED
@given(cells(), cells())
def test_every_possible_genotype_survives_both_forms(normal: Any, reduce: Any) -> None:
    genotype = Genotype(normal=normal[0], normal_concat=normal[1], reduce=reduce[0], reduce_concat=reduce[1])
    for text in (genotype.model_dump_json(), format_darts(genotype)):
        read = parse_genotype(text)
        assert read == genotype and read.normal == genotype.normal


@FUZZED
@given(st.text(max_size=200) | st.lists(FRAGMENTS | st.text(max_size=5), max_size=15).map("".join))
def test_any_text_is_a_genotype_or_refused(text: str) -> None:
    read = read_or_refused(lambda: parse_genotype(text))
    assert read is None or parse_genotype(read.model_dump_json()) == read


@FUZZED
@given(mutated(PRINTED) | mutated(FLAT))
def test_a_changed_genotype_is_a_genotype_or_refused(text: str) -> None:
    read = read_or_refused(lambda: parse_genotype(text))
    assert read is None or {operation for operation, _ in read.normal + read.reduce} <= set(SELECTABLE)


@FUZZED
@given(nested(st.sampled_from(["normal", "reduce", "normal_concat", "reduce_concat", *SELECTABLE])))
def test_any_json_is_a_genotype_or_refused(data: Any) -> None:
    read_or_refused(lambda: parse_genotype(json.dumps(data)))


@pytest.mark.parametrize(
    "text",
    [
        "[" * 10**5,
        "x" * (MAX_BYTES + 1),
        "-" * 60_000 + "1",
        "1+" * 30_000 + "1",
        "a." * 30_000 + "a",
        "not " * 15_000 + "a",
    ]
    + [
        "Genotype(normal=[('skip_connect', " + "9" * 5000 + ")])",
        '{"normal": ' + "9" * 5000 + "}",
        "\ud800",
        "x = '\\N{'",
    ],
)
def test_a_text_that_parsers_choke_on_is_refused(text: str) -> None:
    with pytest.raises(GenotypeError, match=re.compile("allowed (is|are)")):
        parse_genotype(text)
