"""A search that may take so long, and no longer."""

from __future__ import annotations

import pytest
from clocks import StandInClock, stand_in_clock
from factories import make_search_config_tiny

from medarts_ops.config import DerivedConfig, ObjectiveConfig, SearchConfig
from medarts_ops.config_runtime import BudgetConfig
from medarts_ops.deadline import SearchDeadline, seconds_for
from medarts_ops.journal.journal import Journal
from medarts_ops.journal.kinds import SEARCH
from medarts_ops.objectives.ranking_warnings import ranking_warnings
from medarts_ops.observers import EpochFinished, SearchEvent
from medarts_ops.search import resume_search, run_search
from medarts_ops.training.bilevel import SearchTraining
from medarts_ops.training.member import Member
from medarts_ops.training.supervised import SupervisedTraining

EPOCHS = 4


def asked(seconds: float, **changes: object) -> SearchConfig:
    """Two stages of three individuals and four epochs, of a second each, and so many seconds for training."""
    config = make_search_config_tiny()
    stages = tuple(stage.model_copy(update={"epochs": EPOCHS, "images": 40}) for stage in config.stages[:2])
    budget = BudgetConfig(seconds=seconds_for(seconds), scale=1.0, stages=(12.0, 12.0), genotypes=(0.0, 0.0))
    runtime = config.runtime.model_copy(update={"budget": budget})
    return config.model_copy(update={"stages": stages, "runtime": runtime, **changes})


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> StandInClock:
    """Each epoch of a supernet takes `seconds` by this clock, one unless a test says more."""
    clock = stand_in_clock(monkeypatch)
    run_epoch = SearchTraining.run_epoch

    def slow(self: SearchTraining, epoch: int) -> list[Member]:
        clock.now += SECONDS[0]
        return run_epoch(self, epoch)

    monkeypatch.setattr(SearchTraining, "run_epoch", slow)
    return clock


SECONDS = [1.0]


def slowed(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    monkeypatch.setitem(globals(), "SECONDS", [seconds])


def test_a_search_as_fast_as_planned_is_cut_nowhere(clock, tmp_path):
    result = run_search(asked(30), tmp_path / "search")
    assert result.cuts == () and clock.now - 1000 == 24


def test_a_search_slower_than_planned_ends_its_epochs_early_and_all_of_a_stage_alike(clock, monkeypatch, tmp_path):
    slowed(monkeypatch, 2.0)
    result = run_search(asked(30), tmp_path / "search")
    assert clock.now - 1000 <= 30
    epochs = [{len(ranked.trained.history) for ranked in stage.ranked} for stage in result.stages]
    assert epochs == [{2}, {3}], "what the first stage left went to the second"
    cuts = zip(("init", "mid"), (2, 3), strict=True)
    assert result.cuts == tuple(f"supernets of stage {name} ended after {n} of 4 epochs" for name, n in cuts)
    (warning,) = (one for one in ranking_warnings(result.stages[0]) if "time was over" in one)
    assert warning.startswith("supernets of stage init ended after 2 of 4 epochs: ")
    kept = Journal.open(tmp_path / "search", SEARCH)
    assert kept.events()[-1][1].result == result  # type: ignore[union-attr]


def test_members_that_trained_longer_count_as_they_were_after_the_shortest(clock, monkeypatch, tmp_path):
    slowed(monkeypatch, 1.0)
    run_epoch, begun = SearchTraining.run_epoch, set()

    def slower_and_slower(self: SearchTraining, epoch: int) -> list[Member]:
        begun.add(self.task.names)
        clock.now += len(begun) - 1
        return run_epoch(self, epoch)

    monkeypatch.setattr(SearchTraining, "run_epoch", slower_and_slower)
    told: list[SearchEvent] = []

    class Listener:
        def notify(self, event: SearchEvent) -> None:
            told.append(event)

    stage = run_search(asked(30), tmp_path / "search", observers=[Listener()]).stages[0]
    longest = max(e.record.epoch for e in told if isinstance(e, EpochFinished) and e.individual_id == "init-00")
    (cut,) = stage.cuts
    assert longest + 1 == EPOCHS > cut.epochs
    first = next(ranked.trained for ranked in stage.ranked if ranked.id == "init-00")
    record = next(
        e.record
        for e in told
        if isinstance(e, EpochFinished) and (e.individual_id, e.record.epoch) == ("init-00", cut.epochs - 1)
    )
    assert (first.valid_accuracy, len(first.history)) == (record.valid_accuracy, cut.epochs)


def test_a_search_of_which_the_time_is_over_at_once_still_has_a_result(clock, monkeypatch, tmp_path):
    slowed(monkeypatch, 1000.0)
    monkeypatch.setattr(SearchDeadline, "has_time_for", lambda self, stage: False)
    result = run_search(asked(30), tmp_path / "search")
    assert [stage.name for stage in result.stages] == ["init"] and result.left_out == ("mid",)
    assert result.best.trained.genotype is not None and "the time was over before mid" in result.why


class Interrupt:
    """Raises after so many epochs, as Ctrl-C would."""

    def __init__(self, epochs: int) -> None:
        self.left = epochs

    def notify(self, event: SearchEvent) -> None:
        self.left -= isinstance(event, EpochFinished)
        if self.left == 0 and isinstance(event, EpochFinished):
            raise KeyboardInterrupt


def test_a_resumed_search_has_what_was_left_of_its_time(clock, monkeypatch, tmp_path):
    folder = tmp_path / "search"
    with pytest.raises(KeyboardInterrupt):
        run_search(asked(30), folder, observers=[Interrupt(5)])
    clock.now += 10_000  # between processes no time is spent
    monkeypatch.setattr(Journal, "seconds_at_work", 20.0)
    result = resume_search(folder)
    assert result.stages[1].cuts, "10 seconds are left of 30"
    assert all(len(ranked.trained.history) >= 1 for stage in result.stages for ranked in stage.ranked)


def test_short_trainings_keep_their_part_of_the_time_and_are_compared_alike(clock, monkeypatch, tmp_path):
    run_epoch = SupervisedTraining.run_epoch

    def slow(self, epoch):
        clock.now += 2.0
        return run_epoch(self, epoch)

    monkeypatch.setattr(SupervisedTraining, "run_epoch", slow)
    config = asked(
        60,
        objectives=(ObjectiveConfig(name="derived_accuracy"),),
        derived=DerivedConfig(cells=3, channels=2, epochs=4, batch=32, images=0.2),
    )
    budget = config.runtime.budget.model_copy(update={"genotypes": (12.0, 12.0)})
    config = config.model_copy(update={"runtime": config.runtime.model_copy(update={"budget": budget})})
    result = run_search(config, tmp_path / "search")
    lengths = {len(r.trained.derived.history) for r in result.stages[0].ranked if r.trained.derived is not None}
    assert len(lengths) == 1 and lengths < {1, 2, 3}
    assert "short trainings" in {cut.what for cut in result.stages[0].cuts}
    assert clock.now - 1000 <= 60
