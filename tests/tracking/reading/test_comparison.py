"""Runs side by side, out of a real store."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from factories import make_search_events

from medarts_ops.config import SearchConfig
from medarts_ops.errors import RunError
from medarts_ops.observers import SearchStarted
from medarts_ops.tracking.reading.comparison import as_setting, compare_runs
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
    compared = compare_runs(store, ["a", searches[1].run_id])
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
    assert [run.search_run_id for run in compared.runs] == [search.run_id for search in (first, second, second)]
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
        compare_runs(store, ["a", "b", searches[0].run_id])


@pytest.mark.parametrize(
    ("text", "setting"),
    [("3", 3), ("3e-4", 3e-4), ("1e-4", 0.0001), ("True", "True"), ("[1, 2]", "[1, 2]"), ("NaN", "NaN")]
    + [("1e999", "1e999"), ("1_000", "1_000"), ("sgd", "sgd"), ("", ""), ("[" * 5999, "[" * 5999)],
)
def test_a_setting_is_a_number_where_it_was_one(text: str, setting: object) -> None:
    assert as_setting(text) == setting
    assert type(as_setting(text)) is type(setting)
