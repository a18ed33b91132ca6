"""Runs side by side, out of a real store."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from factories import make_genotype, make_search_events

from medarts_ops.config import SearchConfig
from medarts_ops.errors import RunError
from medarts_ops.observers import SearchStarted
from medarts_ops.space.genotype import Genotype
from medarts_ops.tracking.reading.comparison import EdgeDifference, as_setting, compare_runs, genotype_differences
from medarts_ops.tracking.runs.search_runs import MlflowSearchObserver
from medarts_ops.tracking.stores.run_store import RunStore


def tell_search(store: RunStore, name: str, change: Callable[[SearchConfig], SearchConfig]) -> MlflowSearchObserver:
    observer = MlflowSearchObserver(store)
    started, *others = make_search_events(name)
    assert isinstance(started, SearchStarted)
    for event in (started.model_copy(update={"config": change(started.config)}), *others):
        observer.notify(event)
    return observer


@pytest.fixture
def searches(store: RunStore) -> list[MlflowSearchObserver]:
    """Two searches, `a` and `b`, which differ in the seed and in the share of images held out."""
    first = tell_search(store, "a", lambda config: config)
    second = tell_search(store, "b", lambda config: config.model_copy(update={"seed": 7, "holdout_share": 0.25}))
    return [first, second]


def test_the_settings_that_differ_are_told_as_numbers_and_the_others_counted(
    store: RunStore, searches: list[MlflowSearchObserver]
) -> None:
    compared = compare_runs(store, ["a", searches[1].search_run_id])
    assert compared.differing_settings["seed"] == (0, 7)
    assert compared.differing_settings["holdout_share"][1] == 0.25
    assert len(compared.differing_settings) == 2
    assert compared.equal_settings == len(compared.runs[0].run.params) - 2


def test_searches_are_compared_by_the_objectives_of_their_best_and_their_cost(
    store: RunStore, searches: list[MlflowSearchObserver]
) -> None:
    compared = compare_runs(store, ["a", "b"])
    assert (compared.kind, compared.objectives) == ("search", {"accuracy": (0.9, 0.9), "params": (2e6, 2e6)})
    assert [run.hours for run in compared.runs] == [9 / 3600, 9 / 3600]
    assert not {"hours", "accuracy", "params"} & compared.metrics.keys()
    assert compared.metrics["best_accuracy"] == (0.9, 0.9)


def test_individuals_of_different_searches_are_compared_and_one_that_failed_has_no_genotype(
    store: RunStore, searches: list[MlflowSearchObserver]
) -> None:
    first, second = searches
    ids = [first.run_id_of("init-00"), second.run_id_of("init-01"), second.run_id_of("init-02")]
    compared = compare_runs(store, ids)
    assert compared.objectives["accuracy"] == (0.9, 0.8, None)
    assert [run.search_run_id for run in compared.runs] == [search.search_run_id for search in (first, second, second)]
    assert [run.run.run_id for run in compared.with_genotype] == ids[:2]


def test_a_search_that_has_just_begun_is_compared_by_what_it_has(
    store: RunStore, searches: list[MlflowSearchObserver]
) -> None:
    begun = MlflowSearchObserver(store)
    begun.notify(make_search_events("c")[0])
    compared = compare_runs(store, ["a", "c"])
    assert compared.objectives["accuracy"] == (0.9, None)
    assert (compared.runs[1].hours, compared.runs[1].genotype) == (None, None)


def test_runs_of_several_kinds_are_refused_with_which_are_what(
    store: RunStore, searches: list[MlflowSearchObserver]
) -> None:
    stage = searches[0].stage_run_id(0)
    with pytest.raises(RunError, match=rf"got search: a, b; stage: stage-init \({stage}\); compare like with like"):
        compare_runs(store, ["a", stage, "b"])


def test_one_run_alone_and_the_same_run_twice_are_refused(
    store: RunStore, searches: list[MlflowSearchObserver]
) -> None:
    with pytest.raises(RunError, match="two runs at least: got 1"):
        compare_runs(store, ["a"])
    with pytest.raises(RunError, match="given more than once"):
        compare_runs(store, ["a", "b", searches[0].search_run_id])


@pytest.mark.parametrize(
    ("text", "setting"),
    [("3", 3), ("3e-4", 3e-4), ("1e-4", 0.0001), ("True", "True"), ("[1, 2]", "[1, 2]"), ("NaN", "NaN")]
    + [("1e999", "1e999"), ("1_000", "1_000"), ("sgd", "sgd"), ("", ""), ("[" * 5999, "[" * 5999)],
)
def test_a_setting_is_a_number_where_it_was_one(text: str, setting: object) -> None:
    assert as_setting(text) == setting
    assert type(as_setting(text)) is type(setting)


def genotype(first: tuple[tuple[str, int], ...], concat: tuple[int, ...] = (2, 3)) -> Genotype:
    rest = (("skip_connect", 0), ("skip_connect", 1))
    return Genotype(normal=(*first, *rest), normal_concat=concat, reduce=(*rest, *rest), reduce_concat=(2, 3))


def test_equal_genotypes_have_no_difference_whatever_the_order_of_a_nodes_edges() -> None:
    one = genotype((("sep_conv_3x3", 0), ("max_pool_3x3", 1)))
    other = genotype((("max_pool_3x3", 1), ("sep_conv_3x3", 0)))
    assert genotype_differences([one, other, one]) == ((), 8, {})


def test_another_operation_on_an_edge_is_told_with_cell_node_and_input() -> None:
    one = genotype((("sep_conv_3x3", 0), ("max_pool_3x3", 1)))
    other = genotype((("sep_conv_5x5", 0), ("max_pool_3x3", 1)))
    found = genotype_differences([one, other])
    assert found.edges == (EdgeDifference("normal", 2, 0, (("sep_conv_3x3",), ("sep_conv_5x5",))),)
    assert found.equal == 7


def test_another_input_differs_on_both_edges_and_two_operations_may_share_one() -> None:
    one = genotype((("sep_conv_3x3", 0), ("max_pool_3x3", 1)))
    other = genotype((("sep_conv_3x3", 0), ("max_pool_3x3", 0)))
    found = genotype_differences([one, other])
    assert [(edge.source, edge.operations) for edge in found.edges] == [
        (0, (("sep_conv_3x3",), ("max_pool_3x3", "sep_conv_3x3"))),
        (1, (("max_pool_3x3",), ())),
    ]
    assert found.equal == 6


def test_cells_of_other_sizes_and_other_outputs_are_compared() -> None:
    found = genotype_differences([make_genotype(nodes=1), make_genotype(nodes=2)])
    assert [(edge.cell, edge.node) for edge in found.edges] == [
        ("normal", 3), ("normal", 3), ("reduce", 3), ("reduce", 3)
    ]  # fmt: skip
    assert (found.equal, found.concats["normal"]) == (4, ((2,), (2, 3)))
    pair = (("sep_conv_3x3", 0), ("max_pool_3x3", 1))
    assert genotype_differences([genotype(pair), genotype(pair, (3,))]).concats == {"normal": ((2, 3), (3,))}
