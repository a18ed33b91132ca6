"""The algorithm, whole, on a tiny budget: stages, inheritance, crossover, events, journal."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from factories import make_alpha, make_genotype, make_search_config_tiny, make_search_runtime, make_trained

from medarts_ops.config import ObjectiveConfig, ProposalsConfig, SearchConfig
from medarts_ops.errors import ConfigError, DataError, SearchError
from medarts_ops.individual import (
    EvaluatedIndividual,
    FailedIndividual,
    Hyperparameters,
    Individual,
    Outcome,
    SearchResult,
)
from medarts_ops.journal.journal import JOURNAL_NAME, Journal
from medarts_ops.journal.kinds import SEARCH
from medarts_ops.observers import EpochFinished, IndividualFinished, PopulationBorn, SearchEvent, SearchStopped
from medarts_ops.search import run_search
from medarts_ops.tasks import TrainingTask
from medarts_ops.training.group import EpochCallback


class Listener:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.events: list[SearchEvent] = []

    def notify(self, event: SearchEvent) -> None:
        self.events.append(event)


class ScriptedExecutor:
    """Gives each individual, by id, an accuracy and a genotype instead of training it; None is a failure."""

    def __init__(self, script: dict[str, float | None], backwards: bool = False) -> None:
        self.script, self.backwards, self.closed = script, backwards, False

    def run(self, tasks: Sequence[TrainingTask], on_epoch: EpochCallback) -> Iterator[Outcome]:
        individuals = [individual for task in tasks for individual in task.individuals]
        for individual in reversed(individuals) if self.backwards else individuals:
            accuracy = self.script[individual.id]
            if accuracy is None:
                yield FailedIndividual(individual=individual, reason="loss is NaN", epoch=0)
            else:
                yield make_trained(
                    individual,
                    alpha=make_alpha(500 + 10 * individual.stage + individual.number),
                    genotype=make_genotype("max_pool_3x3", nodes=2),
                    valid_accuracy=accuracy,
                )

    def close(self) -> None:
        self.closed = True


SCRIPT = {
    "init-00": 0.1,
    "init-01": 0.3,
    "init-02": 0.2,
    "mid-00": 0.4,
    "mid-01": 0.5,
    "mid-02": 0.6,
    "final-00": 0.7,
}


def scripted(
    folder: Path, script: dict[str, float | None], *, backwards: bool = False
) -> tuple[SearchResult, Listener]:
    listener = Listener()
    executor = ScriptedExecutor(script, backwards)
    result = run_search(make_search_config_tiny(), folder, executor=executor, observers=[listener])
    assert executor.closed
    return result, listener


def born(listener: Listener, stage: int) -> tuple[Individual, ...]:
    (event,) = (e for e in listener.events if isinstance(e, PopulationBorn) and e.stage == stage)
    return event.individuals


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SearchResult, Listener]:
    """A search that really trains."""
    folder = tmp_path_factory.mktemp("search-real")
    listener = Listener()
    return folder, run_search(make_search_config_tiny(), folder, observers=[listener]), listener


def test_every_stage_trains_what_table_ii_and_its_sizes_say(real):
    _, result, _ = real
    assert [len(stage.ranked) for stage in result.stages] == [3, 3, 1]
    assert [stage.name for stage in result.stages] == ["init", "mid", "final"]
    assert result.best.id == "final-00"
    assert result.seconds == pytest.approx(sum(r.trained.seconds for s in result.stages for r in s.ranked))


def test_alpha_is_inherited_bit_for_bit_and_crossed_cell_by_cell(real):
    _, result, listener = real
    first, second = result.stages[0].ranked[:2]
    heir, other, child = born(listener, 1)
    assert (heir.alpha, other.alpha) == (first.trained.alpha, second.trained.alpha)
    assert (heir.origin, heir.parents) == ("inherited", (first.id,))
    assert child.alpha.normal == first.trained.alpha.normal and child.alpha.reduce == second.trained.alpha.reduce
    assert (child.origin, child.parents) == ("crossover", (first.id, second.id))
    assert born(listener, 2)[0].alpha == result.stages[1].ranked[0].trained.alpha


def test_the_journal_holds_every_event(real):
    folder, _, listener = real
    assert [event for _, event in Journal.open(folder, SEARCH).events()] == listener.events


def test_events_come_in_the_order_of_the_algorithm(real):
    _, _, listener = real
    kinds = [event.kind for event in listener.events]
    stage = ["stage_started", "population_born"]
    one = ["epoch_finished", "individual_finished"]
    expected = [
        "search_started",
        "process_started",
        *stage,
        *one * 3,
        "stage_finished",
        *stage,
        *one * 3,
        "stage_finished",
    ]
    assert kinds == [*expected, *stage, *one, "stage_finished", "search_finished"]


def test_alpha_of_epochs_is_told_once_with_the_finished_individual(real):
    _, result, listener = real
    for event in listener.events:
        if isinstance(event, EpochFinished):
            assert event.record.alpha is None
        if isinstance(event, IndividualFinished) and isinstance(event.outcome, EvaluatedIndividual):
            trained = event.outcome.trained
            assert trained.history[-1].alpha == trained.alpha
    for stage in result.stages:
        assert all(record.alpha is None for ranked in stage.ranked for record in ranked.trained.history)


def test_a_search_repeats_bit_for_bit_with_its_seed(real, tmp_path):
    _, result, _ = real
    again = run_search(make_search_config_tiny(), tmp_path)
    assert again.best.trained.alpha == result.best.trained.alpha
    assert [r.id for s in again.stages for r in s.ranked] == [r.id for s in result.stages for r in s.ranked]


def test_survivors_are_the_best_and_the_result_is_the_most_accurate_of_the_last_stage(tmp_path):
    result, listener = scripted(tmp_path, SCRIPT)
    assert [individual.parents for individual in born(listener, 1)] == [
        ("init-01",),
        ("init-02",),
        ("init-01", "init-02"),
    ]
    assert [individual.parents for individual in born(listener, 2)] == [("mid-02",)]
    assert result.best.trained.valid_accuracy == 0.7


def test_the_order_in_which_outcomes_arrive_changes_nothing(tmp_path):
    folders = [tmp_path / name for name in ("a", "b")]
    for folder in folders:
        folder.mkdir()
    forwards, _ = scripted(folders[0], SCRIPT)
    backwards, _ = scripted(folders[1], SCRIPT, backwards=True)
    assert forwards.stages == backwards.stages


def test_failed_individuals_are_never_ranked_and_the_stage_goes_on(tmp_path):
    result, _ = scripted(tmp_path, {**SCRIPT, "init-01": None, "mid-02": None})
    assert [r.id for r in result.stages[0].ranked] == ["init-02", "init-00"]
    assert [f.individual.id for f in result.stages[0].failed] == ["init-01"]
    assert result.best.id == "final-00"


def test_with_one_survivor_there_is_no_crossover(tmp_path):
    result, listener = scripted(tmp_path, {**SCRIPT, "init-01": None, "init-02": None})
    assert [individual.origin for individual in born(listener, 1)] == ["inherited"]
    assert len(result.stages[1].ranked) == 1


def test_a_stage_without_survivors_ends_the_search_with_its_reason(tmp_path):
    with pytest.raises(
        SearchError, match=r"stage 'init': 3 of 3 individuals failed and min_survivors asks for 1.*loss is NaN"
    ):
        scripted(tmp_path, {**SCRIPT, "init-00": None, "init-01": None, "init-02": None})
    last = Journal.open(tmp_path, SEARCH).events()[-1][1]
    assert isinstance(last, SearchStopped) and not last.interrupted


def test_min_survivors_decides_when_a_stage_gives_up(tmp_path):
    config = make_search_config_tiny().model_copy(update={"min_survivors": 3})
    with pytest.raises(SearchError, match="1 of 3 individuals failed and min_survivors asks for 3"):
        run_search(config, tmp_path, executor=ScriptedExecutor({**SCRIPT, "init-01": None}))


def test_a_last_stage_of_one_needs_only_that_one(tmp_path):
    config = make_search_config_tiny().model_copy(update={"min_survivors": 3})
    assert len(run_search(config, tmp_path, executor=ScriptedExecutor(SCRIPT)).stages[-1].ranked) == 1


class Crashing(ScriptedExecutor):
    """Individual init-01 crashes as often as it is told to."""

    def __init__(self, crashes: int, cause: str = "crashed") -> None:
        super().__init__(SCRIPT)
        self.crashes, self.cause, self.tasks = crashes, cause, []

    def run(self, tasks: Sequence[TrainingTask], on_epoch: EpochCallback) -> Iterator[Outcome]:
        self.tasks.append([individual.id for task in tasks for individual in task.individuals])
        for outcome in super().run(tasks, on_epoch):
            if outcome.individual.id == "init-01" and self.crashes:
                self.crashes -= 1
                failed = {"individual": outcome.individual, "reason": "died", "cause": self.cause}
                yield FailedIndividual.model_validate(failed)
            else:
                yield outcome


@pytest.mark.parametrize(("crashes", "failed"), [(0, 0), (2, 0), (3, 1)])
def test_who_crashed_is_trained_again_as_often_as_retries_says(tmp_path, crashes, failed):
    config = make_search_config_tiny().model_copy(update={"retries": 2})
    executor = Crashing(crashes)
    result = run_search(config, tmp_path, executor=executor)
    assert len(result.stages[0].failed) == failed
    assert executor.tasks[: 1 + min(crashes, 2)] == [
        ["init-00", "init-01", "init-02"],
        *[["init-01"]] * min(crashes, 2),
    ]


def test_who_diverged_would_diverge_again_and_is_not_retried(tmp_path):
    config = make_search_config_tiny().model_copy(update={"retries": 2})
    executor = Crashing(1, cause="diverged")
    assert len(run_search(config, tmp_path, executor=executor).stages[0].failed) == 1
    assert executor.tasks[0] == ["init-00", "init-01", "init-02"] and executor.tasks[1][0].startswith("mid")


def test_an_interrupt_is_told_as_one_and_passed_on(tmp_path):
    class Interrupted(ScriptedExecutor):
        def run(self, tasks: Sequence[TrainingTask], on_epoch: EpochCallback) -> Iterator[Outcome]:
            raise KeyboardInterrupt
            yield

    executor, listener = Interrupted({}), Listener()
    with pytest.raises(KeyboardInterrupt):
        run_search(make_search_config_tiny(), tmp_path, executor=executor, observers=[listener])
    assert executor.closed
    assert isinstance(listener.events[-1], SearchStopped) and listener.events[-1].interrupted


class CountingProposer:
    """Proposes rates that name round and place, and remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[list[str]] = []

    def propose(self, round: int, n: int) -> tuple[Hyperparameters, ...]:
        return tuple(
            Hyperparameters(
                alpha_lr=1e-3 * (round + 1), weights_lr=0.01 * (i + 1), alpha_weight_decay=0, alpha_init_std=1e-3
            )
            for i in range(n)
        )

    def tell(self, round: int, outcomes: Sequence[EvaluatedIndividual | FailedIndividual]) -> None:
        self.told.append([o.id if isinstance(o, EvaluatedIndividual) else o.individual.id for o in outcomes])


def test_survivors_come_from_all_rounds_of_proposals(tmp_path):
    config = make_search_config_tiny().model_copy(update={"proposals": ProposalsConfig(generations=2)})
    script = {**SCRIPT, "init-03": 0.9, "init-04": None, "init-05": 0.25}
    proposer, listener = CountingProposer(), Listener()
    result = run_search(config, tmp_path, proposer=proposer, executor=ScriptedExecutor(script), observers=[listener])
    assert proposer.told == [["init-00", "init-01", "init-02"], ["init-03", "init-04", "init-05"]]
    assert [r.id for r in result.stages[0].ranked[:2]] == ["init-03", "init-01"]
    heir, *_ = born(listener, 1)
    assert heir.parents == ("init-03",) and heir.hyperparameters.alpha_lr == 2e-3


def test_a_child_takes_the_hyperparameters_of_the_parent_of_its_normal_cell(tmp_path):
    listener = Listener()
    run_search(
        make_search_config_tiny(),
        tmp_path,
        proposer=CountingProposer(),
        executor=ScriptedExecutor(SCRIPT),
        observers=[listener],
    )
    assert [i.hyperparameters.weights_lr for i in born(listener, 1)] == [0.02, 0.03, 0.02]


def refuse(config: SearchConfig, folder: Path) -> None:
    listener = Listener()
    run_search(config, folder, executor=ScriptedExecutor(SCRIPT), observers=[listener])


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"objectives": (ObjectiveConfig(), ObjectiveConfig(name="parms"))}, ConfigError, "objectives.1.*'params'"),
        ({"strategy": {"name": "dats"}}, ConfigError, "strategy.name.*'darts'"),
        ({"dataset": {"name": "digit"}}, ConfigError, "'digits'"),
        ({"dataset": {"low_resolution": True}}, DataError, "low_resolution"),
        ({"runtime": {"device": "cuda:7"}}, ConfigError, "cuda"),
    ],
)
def test_bad_settings_are_refused_before_anything_is_written(tmp_path, change, error, message):
    config = make_search_config_tiny()
    update = {
        name: getattr(config, name).model_copy(update=value) if isinstance(value, dict) else value
        for name, value in change.items()
    }
    with pytest.raises(error, match=message):
        refuse(config.model_copy(update=update), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_too_few_images_in_a_later_stage_are_refused_before_anything_is_written(tmp_path):
    config = make_search_config_tiny()
    stages = (*config.stages[:2], config.stages[2].model_copy(update={"images": 100_000}))
    with pytest.raises(DataError, match="largest that works"):
        refuse(config.model_copy(update={"stages": stages}), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_other_objectives_and_directions_are_measured(tmp_path):
    objectives = (
        ObjectiveConfig(),
        ObjectiveConfig(name="macs", direction="minimize"),
        ObjectiveConfig(name="latency", direction="minimize"),
    )
    config = make_search_config_tiny().model_copy(update={"objectives": objectives})
    result = run_search(config, tmp_path, executor=ScriptedExecutor(SCRIPT))
    measured = result.best.evaluated.objectives
    assert list(measured) == ["accuracy", "macs", "latency"] and all(value > 0 for value in measured.values())


@pytest.mark.parametrize(
    ("workers", "objective", "waits"), [(2, "latency", True), (2, "macs", False), (1, "latency", False)]
)
def test_a_clock_is_read_when_no_other_process_trains_any_more(tmp_path, workers, objective, waits):
    config = make_search_config_tiny()
    config = config.model_copy(
        update={
            "objectives": (ObjectiveConfig(), ObjectiveConfig(name=objective)),
            "runtime": config.runtime.model_copy(update={"workers": workers}),
        }
    )
    listener = Listener()
    told_while_training: list[int] = []

    class Watching(ScriptedExecutor):
        def run(self, tasks: Sequence[TrainingTask], on_epoch: EpochCallback) -> Iterator[Outcome]:
            before = len(listener.events)
            for outcome in super().run(tasks, on_epoch):
                yield outcome
                told_while_training.append(len(listener.events) - before)

    run_search(config, tmp_path, executor=Watching(SCRIPT), observers=[listener])
    assert any(told_while_training) != waits
    assert sum(isinstance(event, IndividualFinished) for event in listener.events) == len(SCRIPT)


def test_the_stored_config_has_no_auto_left(real):
    folder, _, _ = real
    first = json.loads((folder / "journal.jsonl").read_text().splitlines()[1])["event"]
    assert first["config"]["runtime"].pop("executor") == "auto"  # an executor's name: it follows from the workers
    assert first["config"]["runtime"].pop("ray")["cpus_per_task"] == "auto"  # these follow from threads and device
    assert "auto" not in json.dumps(first["config"])


def test_an_interrupt_on_a_full_disk_is_still_an_interrupt(tmp_path, monkeypatch, caplog):
    def full(self: Journal, event: SearchEvent) -> int:
        if isinstance(event, EpochFinished):
            raise KeyboardInterrupt
        if isinstance(event, SearchStopped):
            raise SearchError("journal can't be written: No space left on device")
        return record(self, event)

    record = Journal.record
    monkeypatch.setattr(Journal, "record", full)
    with pytest.raises(KeyboardInterrupt):
        run_search(make_search_config_tiny(), tmp_path)
    assert "could not be told: journal can't be written" in caplog.text


def test_what_workers_can_not_import_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medarts_ops.registry._registered", {"medarts_ops.objectives": {"mine": lambda: 1.0}})
    config = make_search_config_tiny().model_copy(update={"runtime": make_search_runtime(workers=2)})
    with pytest.raises(ConfigError, match="can't be handed to worker processes"):
        run_search(config, str(tmp_path / "new"))
    assert not (tmp_path / "new" / JOURNAL_NAME).exists()
