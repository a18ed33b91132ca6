"""Genotypes as text: what is accepted comes back equal, all else is one kind of error."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from factories import make_genotype

from medarts_ops.errors import GenotypeError
from medarts_ops.space.formats import format_darts, parse_genotype, read_genotype
from medarts_ops.space.genotype import Genotype
from medarts_ops.space.zoo import zoo

DARTS_V2_PRINTED = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), "
    "('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=[2, 3, 4, 5], "
    "reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), "
    "('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=[2, 3, 4, 5])"
)
NESTED = (
    "Genotype(normal=[[('skip_connect', 0), ('sep_conv_3x3', 1)], [('skip_connect', 0), ('skip_connect', 2)]],"
    " normal_concat=range(2, 4),\n reduce=[[('max_pool_3x3', 0), ('max_pool_3x3', 1)],"
    " [('max_pool_3x3', 0), ('skip_connect', 2)]], reduce_concat=range(2, 4))"
)
CELL = '[["skip_connect", 0], ["skip_connect", 1]]'
PY_CELL = "[('skip_connect', 0), ('skip_connect', 1)]"


def json_text(normal: str = CELL, rest: str = "") -> str:
    return f'{{"normal": {normal}, "reduce": {CELL}{rest}}}'


def python_text(normal: str = PY_CELL, rest: str = "") -> str:
    return f"Genotype(normal={normal}, reduce={PY_CELL}{rest})"


def test_the_form_that_darts_prints_is_read() -> None:
    assert parse_genotype(DARTS_V2_PRINTED) == zoo()["DARTS_V2"].genotype


@pytest.mark.parametrize("prefix", ["DARTS_V2 = ", "genotype = ", "\n  "])
def test_a_line_of_a_genotype_file_or_log_is_read(prefix: str) -> None:
    assert parse_genotype(prefix + DARTS_V2_PRINTED + "\n") == zoo()["DARTS_V2"].genotype


def test_pairs_nested_per_node_are_read() -> None:
    genotype = parse_genotype(NESTED)
    assert genotype.normal == (("skip_connect", 0), ("sep_conv_3x3", 1), ("skip_connect", 0), ("skip_connect", 2))
    assert genotype.reduce_concat == (2, 3)


def test_nested_json_equals_flat_json() -> None:
    nested = json_text(f"[{CELL}]")
    assert parse_genotype(nested) == parse_genotype(json_text())


@pytest.mark.parametrize("text", [json_text(), python_text()])
def test_a_missing_concat_means_all_nodes(text: str) -> None:
    assert parse_genotype(text) == make_genotype("skip_connect", nodes=1)


def test_printed_form_keeps_a_concat_that_is_no_range() -> None:
    printed = format_darts(zoo()["NSGANet"].genotype)
    assert "normal_concat=[2, 4, 5, 6]" in printed
    assert "reduce_concat=range(3, 7)" in printed


@pytest.mark.parametrize("write", [format_darts, Genotype.model_dump_json])
def test_every_zoo_genotype_survives_writing_and_reading(write: object) -> None:
    assert callable(write)
    for entry in zoo().values():
        assert parse_genotype(write(entry.genotype)).model_dump() == entry.genotype.model_dump()


def test_the_printed_form_is_darts_own_to_the_letter() -> None:
    printed = DARTS_V2_PRINTED.replace("[2, 3, 4, 5]", "range(2, 6)")
    assert format_darts(zoo()["DARTS_V2"].genotype) == printed


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "genotype.json"
    path.write_text(make_genotype().model_dump_json(), encoding="utf-8-sig")
    assert read_genotype(path) == make_genotype()


BAD = {
    "empty": "",
    "blank": " \n ",
    "prose": "a cell with pools",
    "json list": "[]",
    "json number": "5",
    "json cut off": json_text()[:-3],
    "no reduce": f'{{"normal": {CELL}}}',
    "unknown field": json_text(rest=', "normal_conact": [2]'),
    "repeated json field": json_text(rest=f', "normal": {CELL}'),
    "repeated keyword": python_text(rest=f", normal={PY_CELL}"),
    "cell is null": json_text("null"),
    "cell is a word": json_text('"skip_connect"'),
    "cell is empty": json_text("[]"),
    "odd number of edges": json_text('[["skip_connect", 0]]'),
    "edge is a number": json_text("[1, 2]"),
    "edge of three": json_text('[["skip_connect", 0, 1], ["skip_connect", 1, 1]]'),
    "edge turned round": json_text('[[0, "skip_connect"], [1, "skip_connect"]]'),
    "flat and nested mixed": json_text(f'[{CELL}, ["skip_connect", 0]]'),
    "node of three pairs": json_text('[[["skip_connect", 0], ["skip_connect", 1], ["skip_connect", 1]]]'),
    "unknown operation": json_text('[["sep_conv_3x4", 0], ["skip_connect", 1]]'),
    "none": json_text('[["none", 0], ["skip_connect", 1]]'),
    "operation too long": json_text(f'[["{"x" * 5000}", 0], ["skip_connect", 1]]'),
    "lone surrogate": json_text('[["\\ud800", 0], ["skip_connect", 1]]'),
    "input ahead": json_text('[["skip_connect", 2], ["skip_connect", 1]]'),
    "input negative": json_text('[["skip_connect", -1], ["skip_connect", 1]]'),
    "input true": json_text('[["skip_connect", true], ["skip_connect", 1]]'),
    "input a fraction": json_text('[["skip_connect", 0.0], ["skip_connect", 1]]'),
    "input not a number": json_text('[["skip_connect", NaN], ["skip_connect", 1]]'),
    "input of 4000 digits": json_text(f'[["skip_connect", {"9" * 4000}], ["skip_connect", 1]]'),
    "input of 5000 digits": json_text(f'[["skip_connect", {"9" * 5000}], ["skip_connect", 1]]'),
    "input of 20000 hex digits": python_text(f"[('skip_connect', 0x{'f' * 20000}), ('skip_connect', 1)]"),
    "concat null": json_text(rest=', "normal_concat": null'),
    "concat empty": json_text(rest=', "normal_concat": []'),
    "concat outside": json_text(rest=', "normal_concat": [2, 3]'),
    "concat of words": json_text(rest=', "normal_concat": ["2"]'),
    "concat endless": python_text(rest=", normal_concat=range(2, 10**9)"),
    "concat very long": python_text(rest=", normal_concat=range(2, 1000000000)"),
    "17 nodes": json_text("[" + ", ".join([CELL[1:-1]] * 17) + "]"),
    "too long": json_text() + " " * 65536,
    "brackets too deep": json_text("[" * 30000 + "]" * 30000),
    "nots too deep": "not " * 16000 + "x",
    "sum too deep": "+".join(["a"] * 30000),
    "conditions too deep": "x if y else " * 5000 + "z",
    "null byte": python_text().replace("normal", "nor\0mal"),
    "surrogate outside": "\ud800",
    "another call": "Cell(normal=[])",
    "positional": f"Genotype({PY_CELL}, [2], {PY_CELL}, [2])",
    "stars": "Genotype(**{})",
    "two statements": python_text() + "; import os",
    "attribute call": python_text("__import__('os').listdir()"),
    "comprehension": python_text("[('skip_connect', i) for i in (0, 1)]"),
    "lambda": python_text("(lambda: 1)()"),
    "formatted string": python_text("[(f'skip_connect', 0), ('skip_connect', 1)]"),
    "bytes": python_text("[(b'skip_connect', 0), ('skip_connect', 1)]"),
    "python true": python_text("[('skip_connect', True), ('skip_connect', 1)]"),
    "doubtful escape": python_text(r"[('\skip_connect', 0), ('skip_connect', 1)]"),
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD.keys())
def test_bad_text_is_a_genotype_error_of_one_short_line(text: str) -> None:
    with pytest.raises(GenotypeError) as caught:
        parse_genotype(text)
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 400


def test_a_misspelt_field_and_a_misspelt_operation_get_the_near_miss() -> None:
    with pytest.raises(GenotypeError, match="did you mean 'normal_concat'"):
        parse_genotype(BAD["unknown field"])
    with pytest.raises(GenotypeError, match="did you mean 'sep_conv_3x3'"):
        parse_genotype(BAD["unknown operation"])


def test_deep_brackets_are_refused_before_a_parser_sees_them() -> None:
    with pytest.raises(GenotypeError, match="nests brackets deeper than 8"):
        parse_genotype(json_text("[" * 8 + "]" * 8))


def test_reading_never_runs_the_text(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.touch()
    with pytest.raises(GenotypeError):
        parse_genotype(python_text(f"__import__('os').unlink({str(victim)!r})"))
    assert victim.exists()


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"", b"{" * 70000, None])
def test_a_bad_file_is_a_genotype_error_that_names_it(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "genotype.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(GenotypeError, match="genotype.txt"):
        read_genotype(path)


def test_a_folder_is_no_genotype_file(tmp_path: Path) -> None:
    with pytest.raises(GenotypeError, match="can't be read"):
        read_genotype(tmp_path)


def test_json_is_flat_and_in_order() -> None:
    fields = json.loads(make_genotype("skip_connect", 1).model_dump_json())
    assert list(fields.items())[:2] == [("normal", [["skip_connect", 0], ["skip_connect", 1]]), ("normal_concat", [2])]
