"""An experiment in the stores: its run and its trainings', what is taken over, resumed, synced, compared, deleted."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from experiment_plans import digits, make_arm, make_plan, make_short_evaluation, make_short_search

from medarts_ops.config import ResolvedEvaluateConfig
from medarts_ops.errors import RunError, SearchError, StoreError
from medarts_ops.experiment import (
    ExperimentEvent,
    ExperimentPlan,
    ExperimentStarted,
    FinishedTraining,
    Source,
    Training,
)
from medarts_ops.journal.job import kind_in
from medarts_ops.observers import EvaluationEpochFinished, JobEvent
from medarts_ops.summary import Summary
from medarts_ops.tracking.artifacts.experiments import read_summary, summary_json
from medarts_ops.tracking.deletion import deletion_of
from medarts_ops.tracking.evaluation import tracked_evaluation
from medarts_ops.tracking.experiment import TrackedExperiment, tracked_experiment
from medarts_ops.tracking.reading.comparison import compare_runs
from medarts_ops.tracking.reading.contents import genotype_of
from medarts_ops.tracking.reading.equal_trainings import EqualTrainings
from medarts_ops.tracking.reading.experiment_report import experiment_report
from medarts_ops.tracking.reading.jobs import find_job
from medarts_ops.tracking.resume import resumed_evaluation, resumed_experiment, resumed_search
from medarts_ops.tracking.runs.experiment_runs import MlflowExperimentObserver
from medarts_ops.tracking.stores.opening import open_store
from medarts_ops.tracking.stores.run_store import RunStore
from medarts_ops.tracking.sync import sync_job
from medarts_ops.tracking.vocabulary import ARM_TAG, OUTCOMES, PLAN, TABLE

PLAN_OF_TWO = make_plan(seeds=[0, 1])


class Place(NamedTuple):
    """A store, a study storage and a work directory."""

    folder: Path
    uri: str

    @property
    def work_dir(self) -> Path:
        return self.folder / "work"

    @property
    def storage(self) -> str:
        return f"sqlite:///{self.folder / 'optuna.db'}"

    @property
    def store(self) -> RunStore:
        return open_store(self.uri)

    def carry_out(self, plan: ExperimentPlan, name: str, *, fresh: bool = False, at: int = 0) -> TrackedExperiment:
        return tracked_experiment(
            plan,
            name=name,
            tracking_uri=self.uri,
            storage=self.storage,
            work_dir=self.work_dir,
            pictures=False,
            fresh=fresh,
            on_training=Interrupt(at),
        )

    def resume(self, name: str) -> TrackedExperiment:
        return resumed_experiment(
            name, tracking_uri=self.uri, storage=self.storage, work_dir=self.work_dir, pictures=False
        )

    def children(self, run_id: str) -> dict[str, str]:
        return {run.name: run.status for run in self.store.children(self.store.find_run(run_id))}


class Interrupt:
    """Counts trained epochs, and raises at the `at`-th, as Ctrl-C would."""

    def __init__(self, at: int = 0) -> None:
        self.epochs, self.at = 0, at

    def __call__(self, training: Training, event: JobEvent) -> None:
        self.epochs += isinstance(event, EvaluationEpochFinished)
        if isinstance(event, EvaluationEpochFinished) and self.epochs == self.at:
            raise KeyboardInterrupt


def made(folder: Path, template_database: Path) -> Place:
    file = shutil.copy(template_database, folder / "mlflow.db")
    return Place(folder, f"sqlite:///{file}")


@pytest.fixture
def place(tmp_path: Path, template_database: Path) -> Place:
    return made(tmp_path, template_database)


@pytest.fixture(scope="module")
def done(
    tmp_path_factory: pytest.TempPathFactory, template_database: Path
) -> Iterator[tuple[Place, TrackedExperiment]]:
    """A finished experiment, for tests that only read."""
    place = made(tmp_path_factory.mktemp("experiment"), template_database)
    yield place, place.carry_out(PLAN_OF_TWO, "e")


def measured(tracked: TrackedExperiment) -> list[object]:
    return [getattr(one, "measures", one) for one in tracked.result.outcomes]


class TestRuns:
    def test_the_trainings_lie_below_the_experiment_each_with_its_arm(self, done):
        place, tracked = done
        run = place.store.find_run("e")
        assert (run.kind, run.status, run.run_id) == ("experiment", "FINISHED", tracked.run_id)
        children = {child.name: child for child in place.store.children(run)}
        assert set(children) == {"e.one.s0", "e.two.s0", "e.one.s1", "e.two.s1"}
        assert {child.tags[ARM_TAG] for child in children.values()} == {"one", "two"}
        assert tracked.run_ids == {name.removeprefix("e."): child.run_id for name, child in children.items()}
        assert tracked.waiting == 0

    def test_its_means_are_metrics_and_its_protocol_parameters(self, done):
        place, tracked = done
        run = place.store.find_run("e")
        arm = PLAN_OF_TWO.arms[0]
        errors = [one.measures["test_error"] for one in tracked.result.of_arm(arm, "evaluation").values()]
        assert run.metrics[f"error/{arm.subject}"] == pytest.approx(sum(errors) / 2)
        assert run.params["seeds"] == "0,1"
        assert run.params["epochs"] == "2"
        assert run.metrics["failed_trainings"] == 0

    def test_plan_outcomes_and_table_come_back_from_its_artifacts(self, done):
        place, tracked = done
        job = find_job("e", tracking_uri=place.uri, work_dir=place.folder / "elsewhere")
        report = experiment_report(job, place.store)
        assert report.result == tracked.result
        assert report.run_ids == tracked.run_ids
        assert read_summary(place.store.read_json_artifact(tracked.run_id, TABLE)) == tracked.summary
        assert {PLAN, OUTCOMES, TABLE} <= set(place.store.artifacts_in(tracked.run_id, ""))

    def test_its_table_is_a_data_frame(self, done):
        _, tracked = done
        frame = tracked.table()
        assert len(frame) == 2
        assert frame["error_n"].tolist() == [2, 2]

    def test_it_has_no_genotype(self, done):
        place, tracked = done
        assert genotype_of(place.store, place.store.find_run(tracked.run_id)) is None

    def test_what_an_arm_was_found_by_is_named_by_its_trainings(self, place):
        source = Source(search="mine", individual="final-00", run_id="0" * 32)
        arm = make_arm("one").model_copy(update={"source": source})
        tracked = place.carry_out(make_plan([arm], seeds=[0]), "e")
        assert place.store.find_run(tracked.run_ids["one.s0"]).tags["medarts.evaluates"] == source.run_id


def test_a_training_whose_journal_is_broken_stands_in_the_report_until_it_is_trained_anew(place):
    with pytest.raises(KeyboardInterrupt):
        place.carry_out(PLAN_OF_TWO, "e", at=1)
    broken = place.work_dir / "e.one.s0"
    (broken / "journal.jsonl").write_bytes(b"garbage\n")
    with pytest.raises(SearchError, match="1 of 4 trainings can't go on"):
        place.resume("e")
    job = find_job("e", tracking_uri=place.uri, work_dir=place.work_dir)
    report = experiment_report(job, place.store)
    assert report.state == "stopped" and len(report.result.outcomes) == 4
    (line,) = report.summary.failures
    assert line.startswith("one.s0 crashed: ") and f"remove '{broken}'" in line
    shutil.rmtree(broken)
    tracked = place.resume("e")
    assert tracked.result.failed == () and tracked.waiting == 0
    assert place.children(tracked.run_id) == {
        f"e.{key}": "FINISHED" for key in ("one.s0", "two.s0", "one.s1", "two.s1")
    }
    assert place.store.find_run("e").metrics["failed_trainings"] == 0


class TestReuse:
    def test_equal_trainings_of_before_are_taken_over_and_said(self, done):
        place, before = done
        again = Interrupt()
        plan = make_plan([*PLAN_OF_TWO.arms, make_arm("three", "avg_pool_3x3")], seeds=[0])
        tracked = tracked_experiment(
            plan, name="again", tracking_uri=place.uri, work_dir=place.work_dir, pictures=False, on_training=again
        )
        assert again.epochs == 2  # of the third arm alone
        taken = [one.taken_from for one in tracked.result.outcomes if isinstance(one, FinishedTraining)]
        assert taken == [before.run_ids["one.s0"], before.run_ids["two.s0"], None]
        assert tracked.run_ids["one.s0"] == before.run_ids["one.s0"]
        assert [*place.children(tracked.run_id)] == ["again.three.s0"]
        assert measured(tracked)[:2] == measured(before)[:2]
        assert any("taken over" in note for note in tracked.summary.notes)

    def test_fresh_trains_anew_to_the_same(self, done):
        place, before = done
        tracked = place.carry_out(make_plan([PLAN_OF_TWO.arms[0]], seeds=[0]), "fresh", fresh=True)
        assert tracked.run_ids["one.s0"] != before.run_ids["one.s0"]
        assert measured(tracked) == measured(before)[:1]

    @pytest.mark.parametrize(
        "changed",
        [
            {"epochs": 1},
            {"images": 1000},
            {"drop_path": 0.1},
            {"runtime": {"amp": "bf16"}},
            {"augment": {"cutout": 4}},
        ],
        ids=str,
    )
    def test_other_settings_are_another_training(self, done, changed):
        place, _ = done
        data = make_short_evaluation().model_dump()
        merged = {key: {**data[key], **value} if isinstance(value, dict) else value for key, value in changed.items()}
        arm = make_arm("one", evaluation=ResolvedEvaluateConfig.model_validate(data | merged))
        assert _found(place, Training(kind="evaluation", arm=arm, seed=0)) is None

    @pytest.mark.parametrize(
        "changed",
        [{"preset": "npz"}, {"runtime": {"threads": 2}}, {"dataset": {"data": "/elsewhere"}}],
        ids=str,
    )
    def test_what_changes_no_result_does_not(self, done, changed):
        place, _ = done
        data = make_short_evaluation().model_dump()
        merged = {key: {**data[key], **value} if isinstance(value, dict) else value for key, value in changed.items()}
        arm = make_arm("one", evaluation=ResolvedEvaluateConfig.model_validate(data | merged))
        assert _found(place, Training(kind="evaluation", arm=arm, seed=0)) is not None

    def test_what_an_experiment_compares_is_no_matter_of_where_numbers_are_computed(self, place):
        threads = [make_short_evaluation().runtime.model_copy(update={"threads": n}) for n in (1, 2)]
        configs = [make_short_evaluation().model_copy(update={"runtime": runtime}) for runtime in threads]
        arms = [make_arm(f"threads-{n}", evaluation=config) for n, config in enumerate(configs, start=1)]
        place.carry_out(make_plan(arms[:1], seeds=[0]), "one")
        both = place.carry_out(make_plan(arms, seeds=[0]), "both")
        assert [one.taken_from is None for one in both.result.outcomes] == [False, True]

    def test_another_seed_genotype_or_images_are_another_training(self, done):
        place, _ = done
        arm = PLAN_OF_TWO.arms[0]
        assert _found(place, Training(kind="evaluation", arm=arm, seed=7)) is None
        assert _found(place, Training(kind="evaluation", arm=make_arm("x", "dil_conv_3x3"), seed=0)) is None
        other = arm.model_copy(update={"fingerprint": "f" * 16})
        equal = EqualTrainings(place.store, PLAN_OF_TWO)
        assert equal.find(Training(kind="evaluation", arm=other, seed=0), other.genotype) is None

    def test_an_evaluation_that_was_made_by_itself_counts(self, place):
        arm = make_arm("one")
        alone = tracked_evaluation(
            make_short_evaluation(),
            genotype=arm.genotype,
            tracking_uri=place.uri,
            work_dir=place.work_dir,
            pictures=False,
        )
        found = _found(place, Training(kind="evaluation", arm=arm, seed=0))
        assert found is not None and found.taken_from == alone.run_id
        assert found.measures["test_error"] == alone.result.test_error

    def test_a_search_of_before_counts_with_what_it_found(self, place):
        plan = make_plan([make_arm("found", search=make_short_search())], seeds=[0])
        before = place.carry_out(plan, "before")
        after = place.carry_out(plan, "after")
        assert [one.taken_from for one in after.result.outcomes] == [*before.run_ids.values()]
        assert measured(after) == measured(before)


def _found(place: Place, training: Training) -> FinishedTraining | None:
    plan = make_plan([training.arm], seeds=[training.seed])
    return EqualTrainings(place.store, plan).find(training, training.arm.genotype)


class TestGoingOn:
    def test_stopped_and_resumed_it_is_the_same_table_in_the_same_runs(self, place, done):
        with pytest.raises(KeyboardInterrupt):
            place.carry_out(PLAN_OF_TWO, "e", at=3)
        stopped = place.store.find_run("e")
        assert stopped.status == "KILLED"
        assert place.children(stopped.run_id) == {"e.one.s0": "FINISHED", "e.two.s0": "KILLED"}
        resumed = place.resume("e")
        assert measured(resumed) == measured(done[1])
        assert resumed.run_id == stopped.run_id
        assert set(place.children(resumed.run_id).values()) == {"FINISHED"}

    def test_one_of_its_trainings_can_go_on_by_itself_and_is_taken_over(self, place):
        with pytest.raises(KeyboardInterrupt):
            place.carry_out(PLAN_OF_TWO, "e", at=3)
        resumed_evaluation("e.two.s0", tracking_uri=place.uri, work_dir=place.work_dir, pictures=False)
        tracked = place.resume("e")
        assert "e.two.s0" in place.children(tracked.run_id)
        assert len(tracked.result.outcomes) == 4

    def test_a_finished_one_is_told_again_and_doubles_nothing(self, done):
        place, before = done
        runs = len(place.store.children(place.store.find_run("e")))
        again = place.resume("e")
        assert again.summary == before.summary
        assert len(place.store.children(place.store.find_run("e"))) == runs

    def test_its_folder_is_needed(self, done):
        place, tracked = done
        with pytest.raises(SearchError, match="has no folder in"):
            resumed_experiment(tracked.run_id, tracking_uri=place.uri, work_dir=place.folder / "elsewhere")

    def test_what_goes_on_with_another_kind_of_job_says_what_goes_on_with_this_one(self, done):
        place, _ = done
        for other in (resumed_search, resumed_evaluation):
            with pytest.raises(SearchError, match="'e' is of kind experiment, .*: `resumed_experiment` goes on"):
                other("e", tracking_uri=place.uri, work_dir=place.work_dir)

    def test_names_of_other_jobs_are_taken(self, done):
        place, _ = done
        with pytest.raises(SearchError, match="name 'e' is taken in this tracking store"):
            tracked_experiment(PLAN_OF_TWO, name="e", tracking_uri=place.uri, work_dir=place.folder / "other")
        assert not (place.folder / "other").exists()


def test_a_store_that_is_away_to_the_end_leaves_the_table_whole(place, done, monkeypatch):
    def away(observer: MlflowExperimentObserver, event: ExperimentEvent) -> None:
        if not isinstance(event, ExperimentStarted):
            raise StoreError("away")
        written(observer, event)

    written = MlflowExperimentObserver._write
    monkeypatch.setattr(MlflowExperimentObserver, "_write", away)
    tracked = place.carry_out(PLAN_OF_TWO, "e")
    assert tracked.waiting > 0
    assert tracked.table()["error"].tolist() == done[1].table()["error"].tolist()


class TestSync:
    def test_a_new_store_is_filled_with_the_experiment_and_its_trainings(self, done, tmp_path, template_database):
        place, tracked = done
        other = made(tmp_path, template_database)
        synced = sync_job(place.work_dir, "e", tracking_uri=other.uri, storage=other.storage, pictures=False)
        assert (synced.kind, synced.state, synced.lost) == ("experiment", "finished", ())
        assert synced.written["runs"] == 5
        run = other.store.find_run("e")
        assert set(other.children(run.run_id)) == set(place.children(tracked.run_id))
        assert run.metrics == place.store.find_run("e").metrics
        again = sync_job(place.work_dir, "e", tracking_uri=other.uri, storage=other.storage, pictures=False)
        assert again.written == {}

    def test_nothing_is_missing_where_it_was_made(self, done):
        place, _ = done
        synced = sync_job(place.work_dir, "e", tracking_uri=place.uri, storage=place.storage, pictures=False)
        assert synced.written == {}


class TestDeletion:
    def test_all_goes_with_it_but_what_was_taken_over(self, place):
        before = place.carry_out(make_plan([make_arm("one")], seeds=[0]), "before")
        plan = make_plan([make_arm("one"), make_arm("found", search=make_short_search())], seeds=[0])
        place.carry_out(plan, "e")
        with deletion_of("e", tracking_uri=place.uri, storage=place.storage, work_dir=place.work_dir) as planned:
            assert planned.counts == {
                "experiment": 1,
                "search": 1,
                "stage": 1,
                "individual": 2,
                "evaluation": 1,
            }
            planned.carry_out()
        assert sorted(path.name for path in place.work_dir.iterdir() if kind_in(path)) == ["before", "before.one.s0"]
        assert place.store.find_run(before.run_ids["one.s0"]).status == "FINISHED"
        with pytest.raises(RunError):
            place.store.find_run("e")


def test_experiments_compare_by_their_settings_and_means(done):
    place, tracked = done
    other = place.carry_out(make_plan([make_arm("one")], seeds=[0]), "other")
    compared = compare_runs(place.store, [tracked.run_id, other.run_id])
    assert compared.differing_settings["seeds"] == ("0,1", 0)
    assert f"error/{PLAN_OF_TWO.arms[0].subject}" in compared.metrics
    assert not any(each.problems for each in compared.runs)


def test_a_summary_comes_back_from_its_json_with_what_is_not_defined(done):
    _, tracked = done
    text = json.dumps(summary_json(tracked.summary), allow_nan=False)
    assert read_summary(json.loads(text)) == tracked.summary
    assert isinstance(tracked.summary, Summary)
    with pytest.raises(RunError, match=r"no table\.json of an experiment"):
        read_summary({"version": 1, "name": "x"})


def test_the_images_of_its_plan_are_the_digits():
    assert PLAN_OF_TWO.datasets[digits().fingerprint].n_train == 1438
