"""A population is compared before its stage ends, and its worst are ended there."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clocks import without_clocks
from factories import OBJECTIVES, make_derived, make_genotype, make_search_config_tiny, make_trained

from medarts_ops.config import DerivedConfig, PruneConfig, ResolvedObjective, ResolvedSearchConfig
from medarts_ops.individual import FailedIndividual, Outcome, SearchResult
from medarts_ops.journal.journal import Journal
from medarts_ops.journal.kinds import SEARCH
from medarts_ops.observers import EpochFinished, IndividualFinished, PopulationPruned, SearchEvent
from medarts_ops.search import resume_search, run_search
from medarts_ops.tasks import DerivedTask, TrainingTask
from medarts_ops.training.group import EpochCallback

PRUNE = PruneConfig(after=1)


def config(prune: PruneConfig = PRUNE, epochs: int = 2, **runtime: Any) -> ResolvedSearchConfig:
    """Four random individuals, then three of two, then one; the first two stages are pruned."""
    tiny = make_search_config_tiny()
    first, *others = (stage.model_copy(update={"epochs": epochs, "images": 40}) for stage in tiny.stages)
    stages = (first.model_copy(update={"population": 4}), *others)
    resources = tiny.runtime.model_copy(update=runtime)
    return tiny.model_copy(update={"stages": stages, "prune": prune, "runtime": resources})


def told(result: SearchResult) -> Any:
    return without_clocks(result.model_dump(mode="json"))


def events_of(folder: Path) -> list[SearchEvent]:
    return [event for _, event in Journal.open(folder, SEARCH).events()]


class Listener:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.keys: list[str] = []

    def notify(self, event: SearchEvent) -> None:
        self.keys.append(event.key)


class Scripted:
    """Gives each individual of the first stage, by number, an accuracy at either end of its tasks; None is a failure.

    Others have 0.5. Genotypes that are trained alone are counted.
    """

    def __init__(self, early: Sequence[float | None], late: Sequence[float | None] = (0.5,) * 4) -> None:
        self.early, self.late = early, late
        self.tasks: list[TrainingTask] = []
        self.alone: list[str] = []

    def run(self, tasks: Sequence[TrainingTask | DerivedTask], on_epoch: EpochCallback) -> Iterator[Any]:
        for task in tasks:
            if isinstance(task, DerivedTask):
                self.alone += task.names
                yield make_derived(task.genotype)
                continue
            self.tasks.append(task)
            yield from (self._outcome(task, number) for number in range(len(task.individuals)))

    def _outcome(self, task: TrainingTask, place: int) -> Outcome:
        individual = task.individuals[place]
        script = self.early if task.until is not None else self.late
        accuracy = script[individual.number] if individual.stage == 0 else 0.5
        if accuracy is None:
            return FailedIndividual(individual=individual, reason="loss is NaN", epoch=0)
        genotype = make_genotype(("sep_conv_3x3", "skip_connect")[individual.number % 2], nodes=2)
        return make_trained(individual, genotype=genotype, valid_accuracy=accuracy, epochs=task.last_epoch)

    def close(self) -> None:
        pass


def ids(entries: Sequence[Any]) -> list[str]:
    return [entry.individual.id for entry in entries]


def test_the_best_share_of_what_is_known_then_goes_on_and_the_rest_is_ended_for_good(tmp_path: Path) -> None:
    executor = Scripted(early=[0.1, 0.3, 0.4, 0.2], late=[0.9, 0.5, 0.6, 0.9])
    result = run_search(config(), tmp_path, executor=executor)
    stage = result.stages[0]
    # 02 is the most accurate, and has more parameters than 01, its odd numbers' skips having none: it dominates all.
    assert [ranked.id for ranked in stage.ranked] == ["init-02", "init-01"]
    assert ids(stage.pruned) == ["init-00", "init-03"] and not stage.failed
    pruned = stage.pruned[0]
    assert pruned.objectives["accuracy"] == 0.1 and list(pruned.objectives) == ["accuracy", "params"]
    assert [record.epoch for record in pruned.history] == [0]
    assert pruned.reason == "on front 1 of its population after 1 epoch"
    parents = {parent for individual in result.stages[1].individuals for parent in individual.parents}
    assert parents == {"init-01", "init-02"}
    assert stage.seconds == sum(one.trained.seconds for one in stage.ranked) + sum(one.seconds for one in stage.pruned)
    of_first = [(task.names, task.until) for task in executor.tasks if task.individuals[0].stage == 0]
    assert of_first[4:] == [(("init-01",), None), (("init-02",), None)]


def test_who_failed_counts_among_those_that_do_not_go_on(tmp_path: Path) -> None:
    result = run_search(config(), tmp_path, executor=Scripted(early=[0.1, None, 0.4, None]))
    stage = result.stages[0]
    assert ids(stage.failed) == ["init-01", "init-03"] and not stage.pruned
    assert {ranked.id for ranked in stage.ranked} == {"init-00", "init-02"}


def test_a_survivor_that_fails_later_is_not_replaced(tmp_path: Path) -> None:
    result = run_search(config(), tmp_path, executor=Scripted([0.1, 0.2, 0.3, 0.4], late=[0.5, 0.5, 0.5, None]))
    stage = result.stages[0]
    assert (ids(stage.failed), len(stage.ranked), len(stage.pruned)) == (["init-03"], 1, 2)


def test_short_trainings_are_of_those_that_go_on_and_are_no_part_of_the_comparison(tmp_path: Path) -> None:
    objectives = (*OBJECTIVES, ResolvedObjective(name="derived_accuracy", direction="maximize"))
    derived = DerivedConfig(cells=3, channels=2, epochs=2, batch=32, images=0.2)
    asked = config().model_copy(update={"objectives": objectives, "derived": derived})
    executor = Scripted(early=[0.4, 0.1, 0.3, 0.2])
    result = run_search(asked, tmp_path, executor=executor)
    stage = result.stages[0]
    assert {ranked.id for ranked in stage.ranked} == {"init-00", "init-02"}
    assert all(list(one.objectives) == ["accuracy", "params"] for one in stage.pruned)
    assert executor.alone[0] == make_genotype("sep_conv_3x3", nodes=2).identity


@pytest.fixture(scope="module")
def pruned(tmp_path_factory: pytest.TempPathFactory) -> tuple[SearchResult, Path]:
    """A search that really trains, and prunes."""
    folder = tmp_path_factory.mktemp("pruned")
    return run_search(config(), folder), folder


@pytest.fixture(scope="module")
def unpruned(tmp_path_factory: pytest.TempPathFactory) -> tuple[SearchResult, Path]:
    folder = tmp_path_factory.mktemp("unpruned")
    return run_search(config(PruneConfig()), folder), folder


def test_who_goes_on_trains_as_if_nobody_had_been_compared(pruned: Any, unpruned: Any) -> None:
    alone = {ranked.id: ranked.trained for ranked in unpruned[0].stages[0].ranked}
    kept = [ranked.trained for ranked in pruned[0].stages[0].ranked]
    assert len(kept) == 2
    for trained in kept:
        theirs = alone[trained.individual.id]
        assert without_clocks(trained.model_dump(mode="json")) == without_clocks(theirs.model_dump(mode="json"))


def test_pruned_individuals_are_not_in_the_journal_as_finished(pruned: Any) -> None:
    result, folder = pruned
    events = events_of(folder)
    finished = {event.individual.id for event in events if isinstance(event, IndividualFinished)}
    compared = [event for event in events if isinstance(event, PopulationPruned)]
    assert [(event.stage, len(event.kept), len(event.pruned)) for event in compared] == [(0, 2, 2), (1, 2, 1)]
    assert [len(stage.pruned) for stage in result.stages] == [2, 1, 0]
    assert not finished & {name for event in compared for name in ids(event.pruned)}
    assert finished >= {name for event in compared for name in event.kept}
    epochs = [event.record.epoch for event in events if isinstance(event, EpochFinished)]
    assert epochs.count(0) == 8 and epochs.count(1) == 5


def test_two_workers_prune_as_one_does_and_no_event_is_told_twice(pruned: Any, tmp_path: Path) -> None:
    listener = Listener()
    assert told(run_search(config(workers=2), tmp_path, observers=[listener])) == told(pruned[0])
    assert len(set(listener.keys)) == len(listener.keys)


def test_where_all_are_kept_it_is_the_search_without_pruning(unpruned: Any, tmp_path: Path) -> None:
    result, folder = unpruned
    assert told(run_search(config(PruneConfig(after=1, keep=1.0)), tmp_path)) == told(result)
    keys = [[event.key for event in events_of(each) if event.kind != "process_started"] for each in (folder, tmp_path)]
    assert keys[0] == keys[1]


def of_the_work(keys: Iterable[str]) -> set[str]:
    return {key for key in keys if not key.startswith(("process_started", "search_stopped"))}


def stop_at(what: Callable[[SearchEvent], bool]) -> Any:
    class Stopping:
        def notify(self, event: SearchEvent) -> None:
            if what(event):
                raise KeyboardInterrupt

    return Stopping()


def at_epoch(who: str, epoch: int) -> Callable[[SearchEvent], bool]:
    """That epoch of an individual, or of a stage's first one to reach it."""
    return lambda event: (
        isinstance(event, EpochFinished) and event.individual_id.startswith(who) and event.record.epoch == epoch
    )


PLACES = {
    "in the first part": at_epoch("init-02", 0),
    "at the comparison": lambda event: isinstance(event, PopulationPruned),
    "in the second part": at_epoch("mid", 1),
    "between those that end": lambda event: isinstance(event, IndividualFinished),
}


@pytest.mark.parametrize("place", PLACES)
def test_stopped_anywhere_it_goes_on_to_the_same_bits_and_tells_all(pruned: Any, tmp_path: Path, place: str) -> None:
    result, folder = pruned
    with pytest.raises(KeyboardInterrupt):
        run_search(config(), tmp_path, observers=[stop_at(PLACES[place])])
    listener = Listener()
    assert told(resume_search(tmp_path, observers=[listener])) == told(result)
    whole = of_the_work({event.key for event in events_of(folder)})
    assert of_the_work({event.key for event in events_of(tmp_path)}) == whole
    assert of_the_work(listener.keys) == whole


def test_killed_after_the_decision_was_written_it_is_not_taken_again(pruned: Any, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_search(config(), tmp_path, observers=[stop_at(PLACES["at the comparison"])])
    assert sum(isinstance(event, PopulationPruned) for event in events_of(tmp_path)) == 1  # the journal is told first
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "checkpoints").glob("*.pt")}
    changed: list[str] = []

    class Watching:
        def notify(self, event: SearchEvent) -> None:
            if isinstance(event, IndividualFinished) and event.individual.stage == 0:
                held = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "checkpoints").glob("*.pt")}
                changed.extend(name for name in before if held.get(name) != before[name])

    assert told(resume_search(tmp_path, observers=[Watching()])) == told(pruned[0])
    assert not changed  # what was trained before the comparison stays as it was


@pytest.fixture(scope="module")
def stacked(tmp_path_factory: pytest.TempPathFactory) -> SearchResult:
    return run_search(config(stack=4), tmp_path_factory.mktemp("stacked"))


def test_a_stack_is_narrowed_to_those_that_go_on(stacked: SearchResult, pruned: Any) -> None:
    alone = {ranked.id: ranked.trained for ranked in pruned[0].stages[0].ranked}
    assert {ranked.id for ranked in stacked.stages[0].ranked} == set(alone)
    for ranked in stacked.stages[0].ranked:
        ours, theirs = ranked.trained, alone[ranked.id]
        np.testing.assert_allclose(
            ours.alpha.normal.arrays["op_logits"], theirs.alpha.normal.arrays["op_logits"], atol=2e-4
        )
        assert [record.valid_loss for record in ours.history] == pytest.approx(
            [record.valid_loss for record in theirs.history], abs=2e-3
        )


@pytest.mark.parametrize("keeps_checkpoints", [True, False])
def test_a_stack_goes_on_to_the_same_bits_whether_its_checkpoints_are_there_or_not(
    stacked: SearchResult, tmp_path: Path, keeps_checkpoints: bool
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_search(config(stack=4), tmp_path, observers=[stop_at(PLACES["at the comparison"])])
    if not keeps_checkpoints:
        shutil.rmtree(tmp_path / "checkpoints")
    assert told(resume_search(tmp_path)) == told(stacked)
