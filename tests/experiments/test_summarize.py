"""Summaries by kind, and their rows as programs take them."""

from __future__ import annotations

import pytest
from experiment_outcomes import make_networks, make_result, make_setting

from medarts_ops.experiments.network import plan_networks
from medarts_ops.experiments.pairs import plan_fig5
from medarts_ops.experiments.summarize import cells_flat, summarize
from medarts_ops.experiments.table3 import zoo_network


def make_table3(came_to=lambda training: 0.2 + 0.1 * training.seed):
    networks = [zoo_network("DARTS_V2"), zoo_network("SNAS")]
    return make_result(
        plan_networks("table3", networks, {"": make_setting()}, seeds=(0, 1), scale="small", workers=1), came_to
    )


def test_each_kind_has_its_summary():
    how = {"seeds": (0, 1), "scale": "small", "workers": 1}
    networks = make_networks("a", "b", "c")
    plans = [
        plan_networks("table3", networks, {"": make_setting()}, **how),
        plan_networks("table4", networks, {"": make_setting()}, **how),
        plan_fig5(networks, make_setting(), None, **how),
    ]
    summaries = [summarize(make_result(plan, lambda training: 0.3)) for plan in plans]
    assert [summary.kind for summary in summaries] == ["table3", "table4", "fig5"]
    assert all(summary.name == "mine" and summary.scale == "small" for summary in summaries)
    assert len({summary.title for summary in summaries}) == 3


def test_a_finished_experiment_sums_up_to_the_same_again():
    assert summarize(make_table3()) == summarize(make_table3())


def test_an_estimate_is_a_cell_for_each_of_its_numbers():
    row = cells_flat(summarize(make_table3()))[0]
    assert row["architecture"] == "DARTS_V2" and row["published_error"] == 2.87
    assert row["error"] == pytest.approx(0.25) and row["error_n"] == 2
    assert row["error_std"] == pytest.approx(0.1 / 2**0.5) and row["error_sem"] == pytest.approx(0.05)
    # Student's t of one degree of freedom: 12.7062
    assert row["error_low"] == pytest.approx(0.25 - 0.6353, abs=1e-4)


def test_all_rows_have_the_same_keys_and_only_plain_values():
    rows = cells_flat(summarize(make_table3(lambda t: 0.3 if t.arm.name == "SNAS" and t.seed == 0 else None)))
    assert len({tuple(row) for row in rows}) == 1
    assert rows[0]["error"] is rows[0]["error_n"] is rows[-1]["error_std"] is None
    assert (rows[1]["error"], rows[1]["error_n"], rows[1]["error_std"]) == (0.3, 1, None)
    assert all(value is None or isinstance(value, float | int | str) for row in rows for value in row.values())
