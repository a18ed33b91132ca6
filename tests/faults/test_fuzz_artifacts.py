"""α, genotypes and settings as they are read back from a store that others can write to: 2,000 cases each."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from alpha_artifacts import read_alpha
from factories import make_alpha, make_genotype, make_search_config_tiny
from fuzzing import FUZZED, mutated, nested, read_or_refused, with_replaced_part
from hypothesis import given
from hypothesis import strategies as st

from medarts_ops.alpha import Alpha
from medarts_ops.errors import GenotypeError, RunError
from medarts_ops.space.genotype import SELECTABLE
from medarts_ops.space.search_space import OPERATIONS, SearchSpace
from medarts_ops.tracking.artifacts.files import MAX_ARTIFACT_BYTES, inner_path, parse_json
from medarts_ops.tracking.artifacts.shapes import alpha_json, genotype_json, plain, read_genotype
from medarts_ops.tracking.reading.contents import read_settings

SMALL = SearchSpace(n_nodes=2, primitives=("none", "skip_connect", "sep_conv_3x3"))
ALPHA = json.loads(json.dumps(alpha_json(make_alpha(0, SMALL, edges_weighted=True), SMALL)))
GENOTYPE = json.loads(json.dumps(genotype_json(make_genotype())))
SETTINGS = plain(make_search_config_tiny())
WORDS = [
    "normal",
    "reduce",
    "normal_concat",
    "edges",
    "operations",
    "op_logits",
    "edge_logits",
    "format",
    "version",
    "preset",
    "dataset",
    "name",
]
ANY = nested(st.sampled_from([*WORDS, "data", "objectives", *OPERATIONS, "Infinity", "NaN", "__proto__"]))


def as_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def read_all(content: bytes) -> None:
    """Read as each of the three; what is read must be valid."""
    alpha = read_or_refused(lambda: read_alpha(parse_json(content, "artifact")))
    assert alpha is None or is_sound(alpha)
    genotype = read_or_refused(lambda: read_genotype(parse_json(content, "artifact")))
    assert genotype is None or {name for name, _ in genotype.normal + genotype.reduce} <= set(SELECTABLE)
    read_or_refused(lambda: read_settings(parse_json(content, "artifact")))


def is_sound(alpha: Alpha) -> bool:
    edges = {len(array) for cell in alpha.cells for array in cell.arrays.values()}
    logits = {cell.arrays["op_logits"].shape for cell in alpha.cells if "op_logits" in cell.arrays}
    finite = all(np.isfinite(each).all() for cell in alpha.cells for each in cell.arrays.values())
    return len(edges) == 1 and len(logits) <= 1 and finite


@FUZZED
@given(st.binary(max_size=100) | mutated(json.dumps(ALPHA)).map(as_bytes))
def test_any_bytes_are_an_artifact_or_refused(content: bytes) -> None:
    read_all(content)


@FUZZED
@given(ANY)
def test_any_json_is_an_artifact_or_refused(data: Any) -> None:
    read_all(json.dumps(data).encode())


@FUZZED
@given(with_replaced_part(ALPHA, ANY))
def test_a_changed_alpha_is_sound_or_refused(data: Any) -> None:
    content = json.dumps(data).encode()
    alpha = read_or_refused(lambda: read_alpha(parse_json(content, "artifact"), SMALL))
    assert alpha is None or {cell.n_edges for cell in alpha.cells} == {SMALL.n_edges}
    assert alpha is None or is_sound(alpha)
    read_all(content)


@FUZZED
@given(with_replaced_part(GENOTYPE, ANY))
def test_a_changed_genotype_is_possible_or_refused(data: Any) -> None:
    read_all(json.dumps(data).encode())


@FUZZED
@given(with_replaced_part(SETTINGS, ANY))
def test_changed_settings_are_read_or_refused(data: Any) -> None:
    read_all(json.dumps(data).encode())


@FUZZED
@given(
    st.text(max_size=30) | st.lists(st.sampled_from(["..", ".", "/", "\\", "a", "%2e", ":", "~", "\0"])).map("".join)
)
def test_an_artifact_path_stays_inside_or_is_refused(path: str) -> None:
    inside = read_or_refused(lambda: inner_path(path))
    assert inside is None or (".." not in inside.parts and not inside.is_absolute())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b" " * (MAX_ARTIFACT_BYTES + 1), "8388609 bytes: allowed are 8388608"),
        (b"[" * 100_000, "no JSON"),
        (b"[" * 40 + b"]" * 40, "deeper than 16"),
        (b'{"a": ' * 200 + b"1" + b"}" * 200, "deeper than 16"),
        (b"[NaN]", "NaN is no number"),
        (b"9" * 5000, "no JSON"),
        (b"\xff\xfe\xfa", "no JSON"),
    ],
)
def test_json_beyond_the_limits_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(RunError, match=message):
        parse_json(content, "artifact 'alpha.json' of run 1")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"operations": ["none", "skip_connect", "rm_rf"]}, "unknown operation 'rm_rf'"),
        ({"edges": [[0, 2], [1, 2], [0, 3], [1, 3], [0, 3]]}, "5 edges of 3 operations are not the space's 5"),
        ({"edges": [[0, 2], [1, 10**9]]}, "space.nodes is 999999999: allowed is 1 to 16"),
        ({"edges": []}, "space.nodes is 0"),
        ({"op_logits": [[0.0, 0.0, 0.0]] * 4}, "op_logits has 4 edges, allowed are the space's 5"),
        ({"op_logits": [[0.0, 0.0, "Infinity"]] * 5}, "holds NaN or infinity"),
        ({"op_logits": [[0.0, 0.0, 1e300]] * 5}, "holds NaN or infinity"),
        ({"op_logits": [[0.0, 0.0, 10**400]] * 5}, "something else than numbers"),
        ({"op_logits": [[0.0, 0.0, {}]] * 5}, "something else than numbers"),
        ({"edge_logits": [0.0] * 4}, "edge_logits has 4 edges, allowed are the space's 5"),
    ],
)
def test_alpha_that_does_not_fit_its_space_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(RunError, match=message):
        read_alpha(ALPHA | {"normal": ALPHA["normal"] | change})


def test_alpha_of_another_space_is_refused() -> None:
    with pytest.raises(RunError, match="5 edges of 3 operations are not the space's 14 of 8"):
        read_alpha(ALPHA, SearchSpace())


@pytest.mark.parametrize("pair", [["rm_rf", 0], ["skip_connect", 10**9], ["skip_connect", True], ["x" * 5000, 0]])
def test_a_genotype_of_what_no_cell_has_is_refused(pair: list[Any]) -> None:
    with pytest.raises(GenotypeError, match=r"this is no genotype.json: .*allowed (is|are)"):
        read_genotype(GENOTYPE | {"normal": [pair, *GENOTYPE["normal"][1:]]})
