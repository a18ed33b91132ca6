"""Genotypes as text: JSON and the printed Python forms of papers and repositories are read, DARTS's is written."""

from __future__ import annotations

import ast
import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from reprlib import repr as shown
from typing import Any

from pydantic import ValidationError

from medarts_ops.errors import GenotypeError, os_errors_as, unknown_name
from medarts_ops.space.genotype import EDGES_PER_NODE, CellKind, Edges, Genotype
from medarts_ops.space.search_space import MAX_NODES, N_INPUTS

MAX_BYTES = 64 * 1024
MAX_STATES = N_INPUTS + MAX_NODES
MAX_NUMBER = 999  # larger ones are refused before a message prints thousands of digits
MAX_NESTING = 8
MAX_NAME = 40

FIELDS = ("normal", "normal_concat", "reduce", "reduce_concat")
ACCEPTED = (
    'JSON such as {"normal": [["skip_connect", 0], ...], ...} or Genotype(normal=[(\'skip_connect\', 0), ...], ...)'
)


def parse_genotype(text: str) -> Genotype:
    """Read a genotype in any published form; a GenotypeError says in one line whatever is wrong.

    Accepted are JSON and Python's printed form, optionally behind a name (`DARTS_V2 = Genotype(...)`, as genotype
    files and DARTS's log have it). A cell is a flat list of (operation, input) pairs (DARTS) or a list of such pairs
    per node (khanrc/pt.darts). `*_concat` may be a list, `range(a, b)` or missing, which means all nodes.

    The text is never evaluated: the Python form is walked as a syntax tree of a few allowed kinds. Limits: 64 KiB of
    text, 16 nodes a cell, brackets nested 8 deep.
    """
    if len(text.encode(errors="replace")) > MAX_BYTES:
        raise GenotypeError(f"genotype text is longer than {MAX_BYTES // 1024} KiB: allowed is one genotype")
    _check_nesting(text)
    stripped = text.strip()
    if not stripped:
        raise GenotypeError(f"genotype text is empty: allowed is {ACCEPTED}")
    fields = _json_fields(stripped) if stripped[0] in "{[" else _python_fields(stripped)
    return _genotype(fields)


def genotype_from_data(data: Any) -> Genotype:
    """A genotype from JSON that was parsed already; accepts and raises as `parse_genotype`."""
    if not isinstance(data, dict):
        raise GenotypeError(f"genotype is {shown(data)}: allowed is {ACCEPTED}")
    return _genotype(data)


def read_genotype(path: Path) -> Genotype:
    """Read a genotype from a UTF-8 file in any form that `parse_genotype` accepts; a GenotypeError names the file."""
    with os_errors_as(GenotypeError, f"genotype file {str(path)!r} can't be read", "check the path"):
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    try:
        text = content.decode("utf-8-sig")
    except ValueError as error:
        raise GenotypeError(f"genotype file {str(path)!r} is no UTF-8 text: allowed is {ACCEPTED}") from error
    try:
        return parse_genotype(text)
    except GenotypeError as error:
        raise GenotypeError(f"genotype file {str(path)!r}: {error}") from error


def format_darts(genotype: Genotype) -> str:
    """DARTS's printed form, which its `genotypes.py` and many others take."""
    return (
        f"Genotype(normal={list(genotype.normal)}, normal_concat={_printed_concat(genotype.normal_concat)}, "
        f"reduce={list(genotype.reduce)}, reduce_concat={_printed_concat(genotype.reduce_concat)})"
    )


def _printed_concat(concat: Sequence[int]) -> str:
    run = range(concat[0], concat[-1] + 1)
    return str(run) if list(run) == list(concat) else str(list(concat))


def _check_nesting(text: str) -> None:
    """Bound the depth before any parser sees the text: theirs end in different errors on different versions."""
    depth = 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if depth > MAX_NESTING:
            raise GenotypeError(f"genotype text nests brackets deeper than {MAX_NESTING}: allowed is {ACCEPTED}")


def _json_fields(text: str) -> Mapping[str, Any]:
    try:
        fields = json.loads(text, object_pairs_hook=_distinct)
    except (ValueError, RecursionError) as error:
        raise GenotypeError(f"genotype is no valid JSON ({_one_line(error)}): allowed is {ACCEPTED}") from error
    if not isinstance(fields, dict):
        raise GenotypeError(f"genotype JSON is a list: allowed is {ACCEPTED}")
    return fields


def _distinct(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise GenotypeError(f"genotype repeats a field: got {shown([name for name, _ in pairs])}, allowed is each once")
    return fields


def _python_fields(text: str) -> Mapping[str, Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a doubtful escape in a string: the operation's name is refused below
            body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise GenotypeError(f"genotype can't be parsed ({_one_line(error)}): allowed is {ACCEPTED}") from error
    match body:
        case [
            ast.Expr(value=ast.Call(func=ast.Name(id="Genotype"), args=[], keywords=keywords))
            | ast.Assign(targets=[ast.Name()], value=ast.Call(func=ast.Name(id="Genotype"), args=[], keywords=keywords))
        ]:
            return _distinct([(str(keyword.arg), _literal(keyword.value)) for keyword in keywords])
    raise GenotypeError(f"genotype is no Genotype(...) with keywords: allowed is {ACCEPTED}")


def _literal(node: ast.expr) -> Any:
    """The value of an allowed expression; what else there may be is refused by its kind."""
    match node:
        case ast.Constant(value=str() as value):
            return value
        case ast.Constant(value=int() as value) if _is_number(value):
            return value
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [_literal(item) for item in items]
        case ast.Call(
            func=ast.Name(id="range"),
            args=[ast.Constant(value=int() as start), ast.Constant(value=int() as stop)],
            keywords=[],
        ) if 0 <= start <= stop <= MAX_STATES:
            return list(range(start, stop))
    kind = type(node.value if isinstance(node, ast.Constant) else node).__name__
    raise GenotypeError(
        f"genotype line {node.lineno} holds an expression of kind {kind!r}: allowed are lists, tuples, names in "
        f"quotes, whole numbers and range(a, b) up to {MAX_STATES}"
    )


def _genotype(fields: Mapping[str, Any]) -> Genotype:
    for name in fields:
        if name not in FIELDS:
            raise GenotypeError(unknown_name("genotype field", name[:MAX_NAME], FIELDS))
    normal, reduce = _cell(fields, "normal"), _cell(fields, "reduce")
    try:
        return Genotype(
            normal=normal,
            normal_concat=_concat(fields, "normal", normal),
            reduce=reduce,
            reduce_concat=_concat(fields, "reduce", reduce),
        )
    except ValidationError as error:
        raise GenotypeError(f"genotype is impossible ({_one_line(error)}): allowed is {ACCEPTED}") from error


def _cell(fields: Mapping[str, Any], cell: CellKind) -> Edges:
    if cell not in fields:
        raise GenotypeError(f"genotype has no {cell!r}: allowed is {ACCEPTED}")
    items = fields[cell]
    if not isinstance(items, list):
        raise GenotypeError(f"{cell} cell is {shown(items)}: allowed is a list of [operation, input] pairs")
    if any(isinstance(item, list) and item and isinstance(item[0], list) for item in items):
        items = [pair for number, node in enumerate(items) for pair in _node_pairs(cell, N_INPUTS + number, node)]
    if len(items) > EDGES_PER_NODE * MAX_NODES:
        raise GenotypeError(f"{cell} cell has {len(items)} edges: allowed are {EDGES_PER_NODE * MAX_NODES} at most")
    return tuple(_pair(cell, item) for item in items)


def _node_pairs(cell: CellKind, node: int, pairs: Any) -> list[Any]:
    if not isinstance(pairs, list) or len(pairs) != EDGES_PER_NODE or not all(isinstance(pair, list) for pair in pairs):
        raise GenotypeError(f"{cell} cell, node {node}: got {shown(pairs)}, allowed are two [operation, input] pairs")
    return pairs


def _pair(cell: CellKind, item: Any) -> tuple[str, int]:
    match item:
        case [str() as operation, int() as source] if _is_number(source) and len(operation) <= MAX_NAME:
            return operation, source
    raise GenotypeError(f"{cell} cell: {shown(item)} is no edge, allowed is [operation, input] or (operation, input)")


def _concat(fields: Mapping[str, Any], cell: CellKind, edges: Edges) -> tuple[int, ...]:
    states = fields.get(f"{cell}_concat", list(range(N_INPUTS, N_INPUTS + len(edges) // EDGES_PER_NODE)))
    if not isinstance(states, list) or not all(map(_is_number, states)) or len(states) > MAX_NODES:
        raise GenotypeError(f"{cell}_concat is {shown(states)}: allowed is a list of the cell's nodes")
    return tuple(states)


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MAX_NUMBER


def _one_line(error: BaseException) -> str:
    words = str(error.msg) if isinstance(error, SyntaxError) else str(error)
    return " ".join(words.split())[:120] or type(error).__name__
