"""A strategy that exists in the tests only goes the whole way, from the supernet to MLflow.

It has edge weights, a growing mask, a quarter of the channels, noise, skip dropout and a penalty. Stacks of it are in
`tests/training/test_stack.py`, its steps in `tests/training/test_static_step.py`, its gradients in `tests/contracts`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from alpha_artifacts import read_alpha
from factories import make_search_config_tiny
from made_up_strategy import Everything, EverythingSettings, registered_strategy

from medarts_ops.alpha import CellAlpha, operations_left
from medarts_ops.config import SearchConfig, SpaceConfig
from medarts_ops.errors import SearchError
from medarts_ops.individual import Individual, SearchResult, TrainedIndividual
from medarts_ops.observers import EpochFinished, SearchEvent
from medarts_ops.search import resume_search, run_search
from medarts_ops.space.search_space import SearchSpace
from medarts_ops.strategies.reading import readings_of
from medarts_ops.tracking.artifacts.shapes import alpha_json
from medarts_ops.tracking.search import tracked_search


@pytest.fixture(scope="module", autouse=True)
def strategy_is_registered() -> Iterator[None]:
    with registered_strategy():
        yield


def make_config(order: str = "first", **runtime: object) -> SearchConfig:
    config = make_search_config_tiny()
    stages = tuple(stage.model_copy(update={"epochs": 2, "channels": 4}) for stage in config.stages)
    settings = EverythingSettings(name="everything", order=order)
    primitives = ("none", "max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_3x3")
    space = SpaceConfig(nodes=2, primitives=primitives)
    changed = {
        "stages": stages,
        "space": space,
        "strategy": settings,
        "runtime": config.runtime.model_copy(update=runtime),
    }
    return config.model_copy(update=changed)


def found(result: SearchResult) -> list[Any]:
    """All that a search found, without what clocks say."""
    clocks = {"seconds": True, "history": {"__all__": {"seconds", "images_per_second"}}}
    every = [ranked for stage in result.stages for ranked in stage.ranked]
    return [(ranked.trained.model_dump(mode="json", exclude=clocks), ranked.front) for ranked in every]


def trained(result: SearchResult) -> list[TrainedIndividual]:
    return [ranked.trained for stage in result.stages for ranked in stage.ranked]


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> SearchResult:
    return run_search(make_config(), tmp_path_factory.mktemp("plain"))


def cells(result: SearchResult) -> list[CellAlpha]:
    return [cell for each in trained(result) for cell in each.alpha.cells]


def test_masks_grow_from_stage_to_stage_and_leave_every_edge_something(result):
    left = [
        np.mean([cell.mask.sum() for ranked in stage.ranked for cell in ranked.trained.alpha.cells])
        for stage in result.stages
    ]
    assert left == sorted(left, reverse=True) and left[0] > left[-1]
    assert all(cell.mask is not None and cell.mask.any(axis=1).all() for cell in cells(result))


def test_no_genotype_holds_an_operation_that_was_masked_while_it_was_trained(result):
    config = make_config()
    space = config.space.search_space()
    for each in trained(result):
        for kind, cell in (("normal", each.alpha.normal), ("reduce", each.alpha.reduce)):
            for place, (operation, source) in enumerate(each.genotype.edges(kind)):
                edge = space.edges.index((source, 2 + place // 2))
                assert cell.mask[edge, space.primitives.index(operation)]


def test_what_is_inherited_and_crossed_has_all_of_alpha(result):
    parents = {each.individual.id: each for each in trained(result)}
    for each in trained(result)[3:]:
        giver = parents[each.individual.parents[0]].alpha.normal
        born = each.individual.alpha.normal
        assert np.array_equal(born.mask, giver.mask)
        assert np.array_equal(born.arrays["op_logits"], giver.arrays["op_logits"])
        assert not np.array_equal(born.arrays["edge_logits"], giver.arrays["edge_logits"])  # drawn anew, as it asks


def test_edges_are_weighed_in_the_reading(result):
    best = result.best.trained
    (reading,) = readings_of(make_config(), best.individual.stage, [best.alpha])
    rows = reading.normal.sum(axis=1)
    np.testing.assert_allclose([rows[:2].sum(), rows[2:].sum()], 1)
    assert (rows < 0.9).all()


def test_workers_change_nothing(result, tmp_path):
    assert found(run_search(make_config(workers=2), tmp_path)) == found(result)


def test_a_strategy_that_loses_survivors_between_stages_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(Everything, "next_stage", lambda self, survivors, place, rng: survivors[:1])
    message = "strategy 'everything' gave 1 α of 2 survivors to stage 'mid'.*one for each"
    with pytest.raises(SearchError, match=message):
        run_search(make_config(), tmp_path)


class StopAfter:
    """Ctrl-C after an epoch of an individual."""

    def __init__(self, individual: str, epoch: int) -> None:
        self._at = (individual, epoch)

    def notify(self, event: SearchEvent) -> None:
        if isinstance(event, EpochFinished) and (event.individual_id, event.record.epoch) == self._at:
            raise KeyboardInterrupt


@pytest.mark.parametrize("individual", ["init-01", "mid-02", "final-00"])
def test_resumed_in_mid_stage_it_is_bit_equal_to_an_undisturbed_one(result, tmp_path, individual):
    with pytest.raises(KeyboardInterrupt):
        run_search(make_config(), tmp_path, observers=[StopAfter(individual, 1)])
    assert found(resume_search(tmp_path)) == found(result)


def test_second_order_takes_part_and_finds_something_else(result, tmp_path):
    second = run_search(make_config("second"), tmp_path)
    assert found(second) != found(result) and len(trained(second)) == len(trained(result))


def test_its_alpha_is_an_artifact_and_comes_back_bit_for_bit(result):
    space = make_config().space.search_space()
    for each in trained(result):
        data = alpha_json(each.alpha, space)
        assert {"op_logits", "edge_logits", "mask"} < data["normal"].keys()
        assert read_alpha(data, space) == each.alpha


def test_tracking_draws_and_stores_it(tmp_path):
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    done = tracked_search(
        make_config(),
        name="made-up",
        tracking_uri=uri,
        storage=f"sqlite:///{tmp_path / 'optuna.db'}",
        work_dir=tmp_path,
    )
    from medarts_ops.tracking.stores.opening import open_store

    store = open_store(uri)
    run_id = done.run_ids[done.result.best.id]
    assert {"pictures/alpha.png", "pictures/alpha-epochs.png"} <= store.artifacts_in(run_id, "pictures").keys()
    assert read_alpha(store.read_json_artifact(run_id, "alpha.json")) == done.result.best.trained.alpha
    assert "report.html" in store.artifacts_in(done.run_id, "")
    params = store.find_run(done.run_id).params
    assert (params["strategy.name"], params["strategy.share"]) == ("everything", "4")


def test_supernets_of_a_stage_lack_what_none_of_its_individuals_has(result):
    final: Individual = result.stages[-1].ranked[0].trained.individual
    masks = operations_left([final.alpha])
    assert masks is not None and not masks.normal.all()
    space = SearchSpace(n_nodes=2, primitives=make_config().space.primitives)
    assert masks.normal.shape == (space.n_edges, space.n_primitives)
