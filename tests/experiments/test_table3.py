"""Table III: trained architectures beside their published figures, then those that were published alone."""

from __future__ import annotations

import pytest
from experiment_outcomes import make_networks, make_result, make_setting

from medarts_ops.errors import GenotypeError
from medarts_ops.experiments.network import plan_networks
from medarts_ops.experiments.table3 import summarize_table3, zoo_network
from medarts_ops.published import TABLE_III
from medarts_ops.space.zoo import zoo_genotype


def make_summary(dataset: str = "cifar10"):
    (found,) = make_networks("mine")
    networks = [found._replace(method="gradient + evolution", search_seconds=21_600.0), zoo_network("darts_v2")]
    plan = plan_networks("table3", networks, {"": make_setting(dataset)}, seeds=(0, 1), scale="small", workers=1)
    return summarize_table3(make_result(plan, lambda training: 0.2 + 0.1 * training.seed))


def test_a_published_genotype_knows_its_row():
    network = zoo_network("pc_darts_CIFAR")
    assert (network.name, network.published_as, network.method) == ("PC_DARTS_cifar", "PC-DARTS", "gradient")
    assert network.genotype == zoo_genotype("PC_DARTS_cifar") and network.description == "PC-DARTS CIFAR10"
    assert zoo_network("GDAS_V1").published_as is zoo_network("GDAS_V1").method is None


def test_an_unknown_name_has_the_near_miss():
    with pytest.raises(GenotypeError, match="did you mean 'DARTS_V2'"):
        zoo_network("DARTS_V3")


def test_a_trained_architecture_has_both_kinds_of_figures_side_by_side():
    mine, darts, *_ = make_summary().rows
    assert mine["error"].mean == pytest.approx(0.25) and mine["search_days"] == 0.25
    assert (mine["method"], mine["parameters"]) == ("gradient + evolution", 12_345)
    assert "published_error" not in mine
    figures = [darts[key] for key in ("published_error", "published_parameters", "published_days")]
    assert figures == [2.87, 3.3e6, 1.5]


def test_all_other_rows_of_the_paper_follow_without_anything_measured():
    rows = make_summary().rows[2:]
    assert len(rows) == len(TABLE_III) - 1
    assert all("error" not in row and "parameters" not in row for row in rows)
    assert {row["architecture"].rstrip("*") for row in rows} == {r.architecture for r in TABLE_III} - {"DARTS"}


def test_what_the_space_cannot_hold_is_marked_and_said():
    summary = make_summary()
    marked = [row["architecture"] for row in summary.rows if row["architecture"].endswith("*")]
    assert marked == ["DenseNet-BC*", "E2EPP*", "ProxylessNAS*"]
    assert summary.notes[0].startswith("* DenseNet-BC, E2EPP, ProxylessNAS: published figures alone")


def test_published_figures_are_of_the_same_dataset_or_say_that_they_are_not():
    on_hundred, on_digits = make_summary("cifar100"), make_summary("digits")
    assert on_hundred.rows[1]["published_error"] == 17.76 and on_digits.rows[1]["published_error"] == 2.87
    headings = [{c.key: c.heading for c in each.columns}["published_error"] for each in (on_hundred, on_digits)]
    assert headings == [f"test error, published (ME-DARTS, Table III, {name})" for name in ("CIFAR-100", "CIFAR-10")]
    assert [bar.published for bar in on_digits.figure.bars] == [None, None]
    assert [bar.published for bar in on_hundred.figure.bars] == [None, pytest.approx(0.1776)]


def test_every_column_of_figures_says_whose_they_are():
    for column in make_summary().columns[2:]:
        assert column.origin == ("published" if column.key.startswith("published") else "measured here")
