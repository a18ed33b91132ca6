"""How much of a search is left."""

from __future__ import annotations

import math

import pytest
from factories import OBJECTIVES, make_epoch_record, make_individual, make_search_runtime

from medarts_ops.config import ProposalsConfig, PruneConfig, ResolvedSearchConfig, StageConfig
from medarts_ops.time_left import WorkLeft

SECONDS = make_epoch_record().seconds


def search_of_two_stages(generations: int = 1, workers: int = 1) -> ResolvedSearchConfig:
    """2 individuals × 2 epochs × cost 3·1·100, then 1 individual × 4 epochs × cost 6·1·200 (four times as much)."""
    return ResolvedSearchConfig(
        stages=(
            StageConfig(name="init", cells=3, channels=1, epochs=2, images=100, population=2),
            StageConfig(name="final", cells=6, channels=1, epochs=4, images=0.5, survivors=1),
        ),
        proposals=ProposalsConfig(generations=generations),
        objectives=OBJECTIVES,
        runtime=make_search_runtime(workers=workers),
    )


def begun(config: ResolvedSearchConfig) -> WorkLeft:
    work = WorkLeft(config, n_train=400)
    work.stage_started(0, 100)
    work.born(0, (make_individual(0), make_individual(1)))
    return work


def test_before_the_first_epoch_nobody_knows() -> None:
    assert begun(search_of_two_stages()).seconds_left() == math.inf


def test_later_stages_cost_cells_times_images() -> None:
    work = begun(search_of_two_stages())
    work.epoch_finished("init-00", make_epoch_record(0))
    assert work.seconds_left() == pytest.approx(SECONDS * (3 + 4 * 4))


def test_the_real_number_of_images_replaces_the_planned_one() -> None:
    work = begun(search_of_two_stages())
    work.epoch_finished("init-00", make_epoch_record(0))
    work.stage_started(1, 100)
    assert work.seconds_left() == pytest.approx(SECONDS * (3 + 4 * 2))


def test_a_failed_individual_leaves_nothing_to_do() -> None:
    work = begun(search_of_two_stages())
    work.epoch_finished("init-00", make_epoch_record(0))
    work.individual_finished("init-01")
    assert work.seconds_left() == pytest.approx(SECONDS * (1 + 4 * 4))
    assert work.stage_epochs(0) == (3, 4)


def test_workers_share_a_stage_but_not_a_lone_individual() -> None:
    work = begun(search_of_two_stages(workers=8))
    work.epoch_finished("init-00", make_epoch_record(0))
    assert work.seconds_left() == pytest.approx(SECONDS * (3 / 2 + 4 * 4))


def test_generations_that_are_not_born_yet_count() -> None:
    work = begun(search_of_two_stages(generations=2))
    work.epoch_finished("init-00", make_epoch_record(0))
    assert work.stage_epochs(0) == (1, 8)
    work.born(0, (make_individual(2), make_individual(3)))
    assert work.stage_epochs(0) == (1, 8)


def test_what_pruning_will_spare_is_no_part_of_the_plan_and_what_it_ended_is_over() -> None:
    config = search_of_two_stages().model_copy(update={"prune": PruneConfig(after=1)})
    work = begun(config)
    assert work.stage_epochs(0) == (0, 3)
    work.epoch_finished("init-00", make_epoch_record(0))
    work.epoch_finished("init-01", make_epoch_record(0))
    assert work.stage_epochs(0) == (2, 3)
    work.pruned(0, ["init-01"])
    assert work.stage_epochs(0) == (2, 3)
    assert work.seconds_left() == pytest.approx(SECONDS * (1 + 4 * 4))


def test_a_later_population_that_is_too_small_to_be_pruned_is_spared_nothing() -> None:
    first, last = search_of_two_stages().stages
    config = search_of_two_stages().model_copy(
        update={"stages": (first, last.model_copy(update={"survivors": 2})), "prune": PruneConfig(after=2)}
    )
    work = begun(config)
    assert work.stage_epochs(1) == (0, 4 + 2)
    work.born(1, (make_individual(0, 1, "final"),))
    assert work.stage_epochs(1) == (0, 4)


def test_at_the_end_nothing_is_left() -> None:
    work = begun(search_of_two_stages())
    final = make_individual(0, 1, "final")
    for name in ("init-00", "init-01"):
        work.epoch_finished(name, make_epoch_record(0))
        work.epoch_finished(name, make_epoch_record(1))
    work.stage_started(1, 200)
    work.born(1, (final,))
    work.epoch_finished(final.id, make_epoch_record(3))
    assert work.seconds_left() == 0
    assert work.epochs_of(final.id) == 4
