"""The zoo holds the published genotypes, row by row."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from medarts_ops.errors import GenotypeError
from medarts_ops.space.genotype import Genotype
from medarts_ops.space.zoo import zoo, zoo_genotype

NEXT_TO_THE_REPOSITORY = Path(__file__).resolve().parents[2].parent / "shared"
SHARED = Path(os.environ.get("MEDARTS_SHARED", NEXT_TO_THE_REPOSITORY))


@pytest.fixture(scope="module")
def published() -> dict[str, dict[str, Any]]:
    path = SHARED / "spec" / "genotypes.json"
    if not path.is_file():
        pytest.skip("the table of published genotypes is not here; MEDARTS_SHARED names its folder")
    rows: dict[str, dict[str, Any]] = json.loads(path.read_text())["genotypes"]
    return rows


def test_the_zoo_has_exactly_the_published_names(published: dict[str, dict[str, Any]]) -> None:
    assert set(zoo()) == set(published)


def test_every_row_equals_the_published_one(published: dict[str, dict[str, Any]]) -> None:
    fields = ("params_c10_C36_L20", "params_c100_C36_L20", "aux_head_c10", "reported", "sources")
    for name, row in published.items():
        entry = zoo()[name].model_dump(mode="json")
        assert entry["genotype"] == {field: row[field] for field in Genotype.model_fields}, name
        assert [entry[field] for field in fields] == [row[field] for field in fields], name


def test_the_networks_for_imagenet_have_the_counts_of_darts_own_code() -> None:
    path = SHARED / "spec" / "imagenet-params.json"
    if not path.is_file():
        pytest.skip("the table of counts is not here; MEDARTS_SHARED names its folder")
    for name, row in json.loads(path.read_text())["networks"].items():
        entry = zoo()[name]
        assert (entry.params_imagenet_C48_L14, entry.aux_head_imagenet) == (row["parameters"], row["auxiliary"]), name
    assert zoo()["DARTS_V2"].params_imagenet_C48_L14 == 4_718_752


def test_hundred_classes_add_ninety_outputs_of_the_classifier() -> None:
    for entry in zoo().values():
        features = 4 * 36 * len(entry.genotype.normal_concat)
        assert entry.params_c100_C36_L20 - entry.params_c10_C36_L20 == 90 * (features + 1), entry.name


def test_names_differ_in_more_than_case() -> None:
    assert len({name.casefold() for name in zoo()}) == len(zoo()) == 36


@pytest.mark.parametrize("name", ["PC_DARTS_cifar", "PC_DARTS_CIFAR", "pc_darts_cifar"])
def test_upper_and_lower_case_are_the_same(name: str) -> None:
    assert zoo_genotype(name) == zoo()["PC_DARTS_cifar"].genotype


def test_an_unknown_name_gets_the_near_miss() -> None:
    with pytest.raises(GenotypeError, match="unknown genotype 'DARTS_V3': .* did you mean 'DARTS_V"):
        zoo_genotype("DARTS_V3")


def test_the_zoo_is_read_once_and_cannot_be_changed() -> None:
    assert zoo() is zoo()
    with pytest.raises(TypeError):
        zoo()["mine"] = zoo()["NASNet"]  # type: ignore[index]
