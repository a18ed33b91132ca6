"""An experiment trains each arm with each seed, each once, whatever stops it and whatever fails."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from experiment_plans import make_arm, make_plan, make_short_evaluation, make_short_search

from medarts_ops.config import ResolvedSearchConfig
from medarts_ops.errors import DataError, NoSurvivors, SearchError
from medarts_ops.evaluation import run_evaluation
from medarts_ops.experiment import (
    ExperimentEvent,
    ExperimentFinished,
    ExperimentPlan,
    ExperimentResult,
    ExperimentStopped,
    FailedTraining,
    FinishedTraining,
    Training,
    TrainingFinished,
)
from medarts_ops.experiments import trainings
from medarts_ops.experiments.protocol import notes_of
from medarts_ops.experiments.run import result_of, resume_experiment, run_experiment
from medarts_ops.experiments.tracker import SearchListeners, Untracked
from medarts_ops.individual import EvaluationEpoch
from medarts_ops.journal.job import is_unfinished, kind_in
from medarts_ops.journal.journal import Journal
from medarts_ops.journal.kinds import EVALUATION, EXPERIMENT
from medarts_ops.journal.lock import job_lock
from medarts_ops.observers import (
    DatasetSummary,
    EvaluationEpochFinished,
    EvaluationEvent,
    EvaluationObserver,
    EvaluationStopped,
    SearchEvent,
)
from medarts_ops.search import run_search
from medarts_ops.space.genotype import Genotype
from medarts_ops.training.supervised import SupervisedTraining

PLAN = make_plan()
KEYS = ["one.s0", "two.s0", "one.s1", "two.s1"]


class Recording(Untracked):
    """Notes what it is asked and told, and raises at the `at`-th event of a training, as Ctrl-C would."""

    def __init__(self, at: int = 0) -> None:
        self.told: list[tuple[str, EvaluationEvent | SearchEvent]] = []
        self.left = at

    def search(
        self, training: Training, folder: Path, config: ResolvedSearchConfig, dataset: DatasetSummary
    ) -> SearchListeners:
        return SearchListeners(observers=[Told(self, training)])

    def evaluation(self, training: Training, folder: Path) -> Sequence[EvaluationObserver]:
        return [Told(self, training)]

    def epochs(self) -> list[tuple[str, int]]:
        return [(key, each.record.epoch) for key, each in self.told if isinstance(each, EvaluationEpochFinished)]


class Told:
    def __init__(self, recording: Recording, training: Training) -> None:
        self.recording, self.key = recording, training.key

    def notify(self, event: EvaluationEvent | SearchEvent) -> None:
        self.recording.told.append((self.key, event))
        self.recording.left -= 1
        if self.recording.left == 0:
            raise KeyboardInterrupt


class Listener:
    def __init__(self) -> None:
        self.events: list[ExperimentEvent] = []

    def notify(self, event: ExperimentEvent) -> None:
        self.events.append(event)


def measured(result: ExperimentResult) -> list[object]:
    """Outcomes without the times, which no two runs share."""
    return [
        one.model_copy(update={"seconds": 0.0}) if isinstance(one, FinishedTraining) else one for one in result.outcomes
    ]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> ExperimentResult:
    return run_experiment(PLAN, tmp_path_factory.mktemp("work") / "e")


def test_each_arm_is_trained_with_each_seed(whole):
    assert [one.key for one in whole.outcomes] == KEYS
    errors = [one.measures["test_error"] for one in whole.outcomes]
    assert len(set(errors)) == len(errors)


def test_a_training_is_what_the_evaluation_of_its_settings_is(whole):
    arm = PLAN.arms[1]
    alone = run_evaluation(arm.evaluation.model_copy(update={"seed": 1}), arm.genotype)
    assert whole.of_arm(arm, "evaluation")[1].measures == {
        "test_error": alone.test_error,
        "best_test_error": alone.best_test_error,
        "parameters": alone.parameters,
    }


def test_two_workers_measure_what_one_does(tmp_path, whole):
    side_by_side = run_experiment(PLAN.model_copy(update={"workers": 2}), tmp_path / "e")
    assert measured(side_by_side) == measured(whole)


@pytest.mark.parametrize("at", [1, 2, 4, 5, 7, 16])
def test_stopped_anywhere_it_goes_on_to_the_same_table_and_trains_nothing_twice(tmp_path, whole, at):
    first, second = Recording(at), Recording()
    with pytest.raises(KeyboardInterrupt):
        run_experiment(PLAN, tmp_path / "e", tracker=first)
    assert is_unfinished(tmp_path / "e")
    resumed = resume_experiment(tmp_path / "e", tracker=second)
    assert measured(resumed) == measured(whole)
    finished_before = {key for key, epoch in first.epochs() if epoch == 1}
    trained_again = {key for key, _ in second.epochs()} & finished_before
    assert len(trained_again) <= 1  # the one whose last epoch was told when it was stopped


def test_what_is_at_work_when_it_stops_is_told_so(tmp_path):
    listener = Listener()
    with pytest.raises(KeyboardInterrupt):
        run_experiment(PLAN, tmp_path / "e", tracker=Recording(at=3), observers=[listener])
    stopped = [event for event in listener.events if isinstance(event, ExperimentStopped)]
    assert stopped and stopped[0].interrupted
    journal = Journal.open(tmp_path / "e.one.s0", EVALUATION)
    assert journal.find(EvaluationStopped) is not None
    assert not (tmp_path / "e.two.s1").exists()


def test_killed_between_a_training_and_its_own_journal_it_takes_the_result_over(tmp_path, whole):
    run_experiment(PLAN, tmp_path / "e")
    journal = tmp_path / "e" / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:3]))  # header, start, process
    again = Recording()
    assert measured(resume_experiment(tmp_path / "e", tracker=again)) == measured(whole)
    assert not [each for _, each in again.told if isinstance(each, EvaluationStopped)]


def test_one_that_diverges_is_an_outcome_and_the_rest_goes_on(tmp_path):
    wild = make_arm("wild", evaluation=make_short_evaluation(lr=1e20))
    result = run_experiment(make_plan([wild, make_arm("calm")], seeds=[0]), tmp_path / "e")
    failed, finished = result.outcomes
    assert isinstance(failed, FailedTraining) and failed.cause == "diverged"
    assert isinstance(finished, FinishedTraining)
    assert result.failed == (failed,)
    assert kind_in(tmp_path / "e.wild.s0") == "evaluation"
    assert resume_experiment(tmp_path / "e") == result


def test_a_known_training_is_taken_over(tmp_path, whole):
    known = whole.outcomes[1].model_copy(update={"taken_from": "run"})

    class Knowing(Recording):
        def known(self, training: Training, genotype: Genotype | None) -> FinishedTraining | None:
            assert genotype == training.arm.genotype
            return known if training.key == known.key else None

    tracker = Knowing()
    result = run_experiment(PLAN, tmp_path / "e", tracker=tracker)
    assert result.outcomes[1] == known
    assert known.key not in {key for key, _ in tracker.told}
    assert not (tmp_path / f"e.{known.key}").exists()


class TestOfSearches:
    """An arm that is searched, and evaluated with what was found."""

    PLAN = make_plan([make_arm("found", search=make_short_search())])

    def test_what_a_seed_finds_is_trained_with_that_seed(self, tmp_path):
        result = run_experiment(self.PLAN, tmp_path / "e")
        assert [one.key for one in result.outcomes] == ["found.s0.search", "found.s1.search", "found.s0", "found.s1"]
        found, trained = result.of_arm(self.PLAN.arms[0], "search"), result.of_arm(self.PLAN.arms[0], "evaluation")
        assert [found[seed].genotype for seed in (0, 1)] == [trained[seed].genotype for seed in (0, 1)]
        alone = run_search(make_short_search().model_copy(update={"seed": 1}), tmp_path / "alone")
        assert found[1].measures == alone.best.evaluated.objectives

    @pytest.mark.parametrize("at", [2, 6, 9])
    def test_stopped_within_a_search_it_goes_on(self, tmp_path, at):
        with pytest.raises(KeyboardInterrupt):
            run_experiment(self.PLAN, tmp_path / "e", tracker=Recording(at))
        assert len(resume_experiment(tmp_path / "e").outcomes) == 4

    def test_a_search_that_finds_nothing_fails_its_evaluation_too(self, tmp_path, monkeypatch):
        def nothing(*given: object, **named: object) -> None:
            raise NoSurvivors("stage 'init': 2 of 2 individuals failed")

        monkeypatch.setattr(trainings, "run_search", nothing)
        result = run_experiment(self.PLAN, tmp_path / "e")
        assert [type(one) for one in result.outcomes] == [FailedTraining] * 4
        assert "2 of 2 individuals failed" in result.outcomes[0].reason
        assert result.outcomes[2].reason == "its search found nothing"


def test_a_name_that_is_taken_by_a_folder_of_a_training_is_refused_before_anything_begins(tmp_path):
    (tmp_path / "e.two.s1").mkdir()
    with pytest.raises(SearchError, match=r"'e\.two\.s1' is taken"):
        run_experiment(PLAN, tmp_path / "e")
    assert not (tmp_path / "e").exists()


def test_it_does_not_go_on_with_other_images(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run_experiment(PLAN, tmp_path / "e", tracker=Recording(at=3))
    other = PLAN.arms[0].evaluation.dataset.model_copy(update={"test_share": 0.4})
    arms = [
        arm.model_copy(update={"evaluation": arm.evaluation.model_copy(update={"dataset": other})}) for arm in PLAN.arms
    ]
    journal = Journal.open(tmp_path / "e", EXPERIMENT)
    (tmp_path / "e" / "journal.jsonl").unlink()
    changed = journal.started.model_copy(update={"plan": PLAN.model_copy(update={"arms": tuple(arms)})})
    Journal(EXPERIMENT, "e", [changed]).keep_in(tmp_path / "e")
    with pytest.raises(DataError, match="experiment 'e' began with other images"):
        resume_experiment(tmp_path / "e")


def test_one_that_another_process_works_on_is_left_alone(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run_experiment(PLAN, tmp_path / "e", tracker=Recording(at=3))
    with job_lock(tmp_path / "e.one.s0"), pytest.raises(SearchError, match="at work"):
        resume_experiment(tmp_path / "e")


@pytest.mark.parametrize("at", [0, 4])
def test_equal_genotypes_are_trained_once_and_stand_in_both_rows(tmp_path, at):
    plan, tracker = make_plan([make_arm("one"), make_arm("heir")], seeds=[0, 1]), Recording()
    if at:
        with pytest.raises(KeyboardInterrupt):
            run_experiment(plan, tmp_path / "e", tracker=Recording(at))
        result = resume_experiment(tmp_path / "e", tracker=tracker)
    else:
        result = run_experiment(plan, tmp_path / "e", tracker=tracker)
    assert {key for key, _ in tracker.told} <= {"one.s0", "one.s1"}
    assert [one.key for one in result.outcomes] == ["one.s0", "heir.s0", "one.s1", "heir.s1"]
    first, heir = (result.of_arm(arm, "evaluation") for arm in plan.arms)
    assert {seed: one.measures for seed, one in heir.items()} == {seed: one.measures for seed, one in first.items()}
    assert [one.same_as for one in heir.values()] == ["one.s0", "one.s1"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["e", "e.one.s0", "e.one.s1"]
    assert "arm heir has the genotype of arm one: it was trained once, for both" in notes_of(result)
    assert resume_experiment(tmp_path / "e") == result


class TestOfUnreadableJournals:
    """A training that was begun and whose journal is broken leaves the others alone, and can be trained anew."""

    @pytest.mark.parametrize(
        "damage",
        [lambda held: b"\x00garbage\n", lambda held: held[:-20] + b"x" * 19 + b"\n", lambda held: b""],
        ids=["garbage", "a line changed", "empty"],
    )
    def test_the_others_go_on_and_removed_it_is_trained_anew(self, tmp_path, whole, damage):
        with pytest.raises(KeyboardInterrupt):
            run_experiment(PLAN, tmp_path / "e", tracker=Recording(at=3))
        broken, listener = tmp_path / "e.one.s0", Listener()
        journal = broken / "journal.jsonl"
        journal.write_bytes(damage(journal.read_bytes()))
        remedy = f"remove '{broken}', and `medarts resume e` trains it anew"
        for _ in range(2):  # it goes on saying so
            with pytest.raises(
                SearchError, match="1 of 4 trainings can't go on, all others are done: one.s0: "
            ) as said:
                resume_experiment(tmp_path / "e", observers=[listener])
            assert str(journal) in str(said.value) and remedy in str(said.value)
        assert isinstance(listener.events[-1], ExperimentStopped)
        failed, *others = result_of(Journal.open(tmp_path / "e", EXPERIMENT)).outcomes
        assert isinstance(failed, FailedTraining) and remedy in failed.reason
        assert [one.key for one in others] == KEYS[1:]
        shutil.rmtree(broken)
        assert measured(resume_experiment(tmp_path / "e")) == measured(whole)

    def test_what_such_a_search_found_is_not_trained_and_not_given_up(self, tmp_path):
        folder, plan = tmp_path / "e", make_plan([make_arm("found", search=make_short_search())], seeds=[0])
        with pytest.raises(KeyboardInterrupt):
            run_experiment(plan, folder, tracker=Recording(at=4))
        (tmp_path / "e.found.s0.search" / "journal.jsonl").write_bytes(b"garbage\n")
        with pytest.raises(SearchError, match="2 of 2 trainings can't go on.*found.s0: its search can't go on"):
            resume_experiment(folder)
        shutil.rmtree(tmp_path / "e.found.s0.search")
        assert [type(one) for one in resume_experiment(folder).outcomes] == [FinishedTraining] * 2


def test_a_finished_one_is_told_again(tmp_path, whole):
    listener, folder = Listener(), tmp_path / "e"
    result = run_experiment(make_plan([make_arm("one")], seeds=[0]), folder)
    assert resume_experiment(folder, observers=[listener]) == result
    assert [type(event) for event in listener.events][-2:] == [TrainingFinished, ExperimentFinished]


def test_an_experiment_comes_back_from_its_journal_as_it_was(whole):
    assert ExperimentPlan.model_validate_json(PLAN.model_dump_json()) == PLAN
    assert ExperimentResult.model_validate_json(whole.model_dump_json()) == whole


class TestOfWorkers:
    """A worker process that dies costs its training a second try."""

    PLAN = make_plan([make_arm("one")], seeds=[0])

    @pytest.mark.parametrize(("deaths", "comes_to"), [(1, FinishedTraining), (2, FailedTraining)])
    def test_what_crashed_is_tried_once_more_from_its_checkpoint(self, tmp_path, monkeypatch, deaths, comes_to):
        left = [deaths]
        train = SupervisedTraining.run_epoch

        def dying(training: SupervisedTraining, epoch: int) -> EvaluationEpoch:
            if epoch == 1 and left[0]:
                left[0] -= 1
                raise OSError("killed")
            return train(training, epoch)

        monkeypatch.setattr(SupervisedTraining, "run_epoch", dying)
        tracker = Recording()
        (outcome,) = run_experiment(self.PLAN, tmp_path / "e", tracker=tracker).outcomes
        assert isinstance(outcome, comes_to)
        assert tracker.epochs()[:2] == [("one.s0", 0), ("one.s0", 0)]  # told again, not trained again
        assert left == [0]
