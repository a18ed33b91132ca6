"""The JSON shapes of artifacts and their readers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from factories import make_alpha, make_genotype, make_ranked, make_search_config_tiny, make_stage_result

from medarts_ops.errors import GenotypeError, RunError
from medarts_ops.space.search_space import SearchSpace
from medarts_ops.tracking.artifacts import (
    alpha_json,
    flattened,
    genotype_json,
    lineage_json,
    population_json,
    read_alpha,
    read_genotype,
)


@pytest.mark.parametrize("edges_weighted", [False, True])
def test_alpha_survives_json_exactly(edges_weighted: bool) -> None:
    alpha = make_alpha(3, edges_weighted=edges_weighted)
    data = json.loads(json.dumps(alpha_json(alpha, SearchSpace())))
    assert read_alpha(data) == alpha
    assert ("edge_logits" in data["normal"]) == edges_weighted


def test_a_genotype_survives_json() -> None:
    assert read_genotype(json.loads(json.dumps(genotype_json(make_genotype())))) == make_genotype()


@pytest.mark.parametrize("data", [None, [], {"normal": {}}, {"normal": {"op_logits": 1}, "reduce": {}}, "alpha"])
def test_something_else_than_alpha_is_refused(data: Any) -> None:
    with pytest.raises(RunError, match="no alpha.json"):
        read_alpha(data)


@pytest.mark.parametrize("data", [None, {}, {"normal": 3}, [1]])
def test_something_else_than_a_genotype_is_refused(data: Any) -> None:
    with pytest.raises(GenotypeError, match="no genotype.json"):
        read_genotype(data)


def test_an_impossible_genotype_is_refused() -> None:
    data = genotype_json(make_genotype()) | {"normal": [["none", 0], ["skip_connect", 1]], "normal_concat": [2]}
    with pytest.raises(GenotypeError, match="'none' is no operation"):
        read_genotype(data)


def test_a_config_becomes_dotted_keys() -> None:
    flat = flattened(make_search_config_tiny())
    assert flat["stages.1.survivors"] == 2 and flat["objectives.1.name"] == "params"
    assert flat["space.primitives"] == '["none", "max_pool_3x3", "skip_connect", "sep_conv_3x3"]'


def test_the_population_table_is_json_with_infinite_crowding() -> None:
    result = make_stage_result((make_ranked(0, crowding_distance=float("inf")), make_ranked(1, crowding_distance=0.5)))
    table = json.loads(json.dumps(population_json(result, str.upper), allow_nan=False))
    assert [row["crowding_distance"] for row in table["ranked"]] == ["Infinity", 0.5]
    assert table["ranked"][1]["run_id"] == "INIT-01"


def test_a_random_individuals_lineage_is_itself() -> None:
    lineage = lineage_json([make_stage_result((make_ranked(0), make_ranked(1)))], "init-01", str.upper)
    assert [row["individual"] for row in lineage["individuals"]] == ["init-01"]
