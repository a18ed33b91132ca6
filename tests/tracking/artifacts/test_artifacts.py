"""The JSON shapes of artifacts and their readers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from alpha_artifacts import read_alpha
from factories import (
    make_alpha,
    make_dataset_summary,
    make_epoch_record,
    make_failed,
    make_genotype,
    make_ranked,
    make_search_config_tiny,
    make_stage_result,
)

from medarts_ops.alpha import Alpha, CellAlpha
from medarts_ops.config import EvaluateConfig
from medarts_ops.errors import GenotypeError, RunError
from medarts_ops.space.formats import parse_genotype
from medarts_ops.space.search_space import SearchSpace
from medarts_ops.tracking.artifacts.files import VERSION, parse_json
from medarts_ops.tracking.artifacts.shapes import (
    alpha_json,
    flattened,
    genotype_json,
    history_json,
    lineage_json,
    plain,
    population_json,
    read_genotype,
)
from medarts_ops.tracking.reading.contents import read_settings

TINY = SearchSpace(n_nodes=1, primitives=("none", "skip_connect"))

# As the first releases wrote them. Stored runs hold these for ever: they are never to be changed.
OLD_ALPHA = """{
 "normal": {"edges": [[0, 2], [1, 2]], "operations": ["none", "skip_connect"], "op_logits": [[0.5, 0.25], [0.0, -1.0]]},
 "reduce": {"edges": [[0, 2], [1, 2]], "operations": ["none", "skip_connect"], "op_logits": [[1.0, 2.0], [3.0, 4.0]],
  "edge_logits": [0.125, 0.75]}
}"""
OLD_GENOTYPE = """{
 "normal": [["sep_conv_3x3", 0], ["skip_connect", 1]], "normal_concat": [2],
 "reduce": [["max_pool_3x3", 0], ["skip_connect", 1]], "reduce_concat": [2]
}"""
OLD_CONFIG = """{
 "preset": "digits", "seed": 0,
 "dataset": {"name": "npz", "data": "birds.npz", "resolution": 32, "low_resolution": false, "sampling": "stratified"},
 "objectives": [{"name": "accuracy", "direction": "maximize"}, {"name": "params", "direction": "maximize"}]
}"""
OLD_LISTS_AND_TABLES = [
    '[{"epoch": 0, "train_loss": 2.25, "valid_accuracy": 0.5}]',
    '{"name": "digits", "class_names": ["0", "1"], "n_train": 8, "n_test": 2, "resolution": [8, 8]}',
    '{"best": "init-00", "individuals": [{"individual": "init-00", "run_id": "1", "parents": []}]}',
    '{"stage": "init", "ranked": [{"individual": "init-00", "front": 0}], "failed": []}',
]


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


def test_every_object_says_what_it_is_and_of_which_version() -> None:
    stage = make_stage_result((make_ranked(0),), (make_failed(1),))
    written = [
        alpha_json(make_alpha(), SearchSpace()),
        plain(make_search_config_tiny()),
        plain(EvaluateConfig()),
        plain(make_dataset_summary()),
        lineage_json([stage], "init-00", str.upper),
        population_json(stage, str.upper),
    ]
    formats = [list(data.items())[:2] for data in written]
    names = ["alpha", "config", "config", "dataset", "lineage", "population"]
    assert formats == [[("format", f"medarts-{name}"), ("version", VERSION)] for name in names]


def test_a_genotype_is_in_darts_form_alone_and_a_history_a_table() -> None:
    assert parse_genotype(json.dumps(genotype_json(make_genotype()))) == make_genotype()
    assert [row["epoch"] for row in history_json([make_epoch_record(0), make_epoch_record(1)])] == [0, 1]


def test_artifacts_of_the_first_releases_are_read() -> None:
    alpha = read_alpha(parse_json(OLD_ALPHA.encode(), "alpha.json"), TINY)
    assert alpha == Alpha(
        normal=CellAlpha(arrays={"op_logits": [[0.5, 0.25], [0.0, -1.0]]}),
        reduce=CellAlpha(arrays={"op_logits": [[1.0, 2.0], [3.0, 4.0]], "edge_logits": [0.125, 0.75]}),
    )
    genotype = read_genotype(parse_json(OLD_GENOTYPE.encode(), "genotype.json"))
    assert genotype.normal == (("sep_conv_3x3", 0), ("skip_connect", 1)) and genotype.reduce_concat == (2,)
    settings = read_settings(parse_json(OLD_CONFIG.encode(), "config.json"))
    assert (settings.dataset.data, settings.dataset.resolution) == ("birds.npz", 32)
    assert [objective.name for objective in settings.objectives] == ["accuracy", "params"]


@pytest.mark.parametrize("text", OLD_LISTS_AND_TABLES)
def test_lists_and_tables_of_the_first_releases_are_read(text: str) -> None:
    assert parse_json(text.encode(), "artifact") == json.loads(text)


@pytest.mark.parametrize("text", [OLD_ALPHA, OLD_GENOTYPE, OLD_CONFIG])
def test_what_a_version_in_front_says_is_no_part_of_the_data(text: str) -> None:
    versioned = {"format": "medarts-something", "version": 1} | json.loads(text)
    assert parse_json(json.dumps(versioned).encode(), "artifact") == json.loads(text)


@pytest.mark.parametrize(
    ("read", "text", "name"),
    [
        (read_alpha, OLD_ALPHA, "alpha.json"),
        (read_genotype, OLD_GENOTYPE, "genotype.json"),
        (read_settings, OLD_CONFIG, "config.json"),
    ],
)
def test_a_newer_version_is_refused_in_one_line_that_says_what_to_do(read: Any, text: str, name: str) -> None:
    newer = json.loads(text) | {"version": VERSION + 1}
    message = rf"{name} is of version {VERSION + 1}: this release reads up to version {VERSION}; read it with"
    for reading in (lambda: read(newer), lambda: parse_json(json.dumps(newer).encode(), f"artifact {name}")):
        with pytest.raises(RunError, match=message) as caught:
            reading()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("version", [0, -1, 1.5, "1", True, None, [1], "x" * 5000])
def test_a_version_that_is_none_is_refused(version: Any) -> None:
    with pytest.raises(RunError, match=f"allowed is a whole number from 1 to {VERSION}") as caught:
        parse_json(json.dumps({"version": version}).encode(), "artifact")
    assert len(str(caught.value)) < 200


def test_the_population_table_says_why_individuals_failed() -> None:
    failed = make_failed(1, "no memory").model_copy(update={"cause": "out_of_memory"})
    table = population_json(make_stage_result((make_ranked(0),), (failed,)), str.upper)
    assert [(row["cause"], row["reason"]) for row in table["failed"]] == [("out_of_memory", "no memory")]
