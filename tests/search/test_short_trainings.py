"""Genotypes are trained shortly, each once, and are found by what they can do."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clocks import without_clocks
from factories import make_derived, make_genotype, make_search_config_tiny, make_trained

from medarts_ops.config import (
    AugmentConfig,
    DerivedConfig,
    ObjectiveConfig,
    ResolvedSearchConfig,
    ResultConfig,
    SearchConfig,
)
from medarts_ops.data.stage_data import StageData
from medarts_ops.derived import DerivedTraining, FailedDerivedTraining
from medarts_ops.executors.local import LocalExecutor
from medarts_ops.individual import EvaluatedIndividual, FailedIndividual, SearchResult
from medarts_ops.journal.journal import Journal
from medarts_ops.journal.kinds import SEARCH
from medarts_ops.observers import DerivedEpochFinished, GenotypeTrained, IndividualFinished, SearchEvent
from medarts_ops.search import resume_search, run_search
from medarts_ops.tasks import DerivedTask, TrainingTask, derived_settings
from medarts_ops.training.derived import read_derived_images, train_derived
from medarts_ops.training.runtime import Runtime
from medarts_ops.training.workplace import Workplace

OBJECTIVES = (ObjectiveConfig(name="derived_accuracy"), ObjectiveConfig(name="params"))


def asked() -> SearchConfig:
    changes = {
        "objectives": OBJECTIVES,
        "derived": DerivedConfig(cells=3, channels=2, epochs=2, batch=32, images=0.2),
        "candidates": "epochs",
        "result": ResultConfig(rule="weighted", stages="all"),
    }
    return make_search_config_tiny().model_copy(update=changes)


class Listener:
    """Remembers what it was told, and raises at the `at`-th event of short trainings, as Ctrl-C would."""

    def __init__(self, at: int = 0) -> None:
        self.events: list[SearchEvent] = []
        self.left = at

    def notify(self, event: SearchEvent) -> None:
        self.events.append(event)
        if isinstance(event, DerivedEpochFinished):
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt


def trained_in(events: Sequence[SearchEvent]) -> list[str]:
    return [event.outcome.genotype.identity for event in events if isinstance(event, GenotypeTrained)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[SearchResult, Listener, Path]:
    folder, listener = tmp_path_factory.mktemp("derived"), Listener()
    return run_search(asked(), folder, observers=[listener]), listener, folder


def test_every_measured_individual_has_its_genotypes_training_and_objectives(whole) -> None:
    result, listener, _ = whole
    names = trained_in(listener.events)
    assert len(set(names)) == len(names) > 0
    for ranked in (ranked for stage in result.stages for ranked in stage.ranked):
        derived = ranked.trained.derived
        assert derived is not None and derived.genotype == ranked.trained.genotype
        assert ranked.evaluated.objectives["derived_accuracy"] == derived.accuracy
        assert derived.genotype.identity in names and len(derived.history) == 2


def test_the_cost_has_every_short_training_once(whole) -> None:
    result, listener, _ = whole
    short = sum(event.outcome.seconds for event in listener.events if isinstance(event, GenotypeTrained))
    searched = sum(ranked.trained.seconds for stage in result.stages for ranked in stage.ranked)
    assert result.seconds == pytest.approx(short + searched)


def test_the_test_set_is_never_seen_and_what_measures_is_never_trained_on(whole) -> None:
    result, _, folder = whole
    data = StageData.load(folder / "derived.npz")
    assert not set(data.weight_indices) & set(data.valid_indices)
    assert len(data.weight_indices) == pytest.approx(4 * len(data.valid_indices), rel=0.2)
    assert {stage.genotypes_yardstick for stage in result.stages} == {data.yardstick(batch=32)}


@pytest.mark.parametrize("at", [1, 3])
def test_a_search_killed_within_a_short_training_goes_on_to_the_same_bits(whole, tmp_path, at) -> None:
    result, _, _ = whole
    folder = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        run_search(asked(), folder, observers=[Listener(at)])
    before = trained_in([event for _, event in Journal.open(folder, SEARCH).events()])
    again = resume_search(folder)
    assert without_clocks(again.model_dump(mode="json")) == without_clocks(result.model_dump(mode="json"))
    names = trained_in([event for _, event in Journal.open(folder, SEARCH).events()])
    assert len(set(names)) == len(names) >= len(before)
    shutil.rmtree(folder)


def test_killed_between_individuals_that_are_measured_together_a_search_goes_on_to_the_same_bits(
    whole, tmp_path
) -> None:
    class AfterTheFirst(Listener):
        def notify(self, event: SearchEvent) -> None:
            super().notify(event)
            if isinstance(event, IndividualFinished) and event.individual.stage == 1:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_search(asked(), tmp_path / "stopped", observers=[AfterTheFirst()])
    again = resume_search(tmp_path / "stopped")
    assert without_clocks(again.model_dump(mode="json")) == without_clocks(whole[0].model_dump(mode="json"))
    events = [event for _, event in Journal.open(tmp_path / "stopped", SEARCH).events()]
    short = [event for event in events if isinstance(event, GenotypeTrained)]
    for index, stage in enumerate(again.stages):
        alone = sum(event.outcome.seconds for event in short if event.stage == index)
        assert stage.seconds == pytest.approx(alone + sum(ranked.trained.seconds for ranked in stage.ranked))


class Scripted:
    """Trains no supernet, and as `outcome` says short trainings; counts how often each genotype is trained."""

    def __init__(self, outcome: str = "trained") -> None:
        self.outcome, self.trained = outcome, dict[str, int]()

    def run(self, tasks: Sequence[TrainingTask | DerivedTask], on_progress: Any) -> Iterator[Any]:
        for task in tasks:
            if isinstance(task, TrainingTask):
                for individual in task.individuals:
                    # Two genotypes in the whole search, whatever is inherited.
                    operation = ("sep_conv_3x3", "skip_connect")[individual.number % 2]
                    yield make_trained(individual, genotype=make_genotype(operation))
                continue
            (name,) = task.names
            self.trained[name] = self.trained.get(name, 0) + 1
            if self.outcome == "trained":
                accuracy = 0.9 if task.genotype == make_genotype() else 0.2
                yield make_derived(task.genotype, accuracy)
            else:
                yield from task.failures(self.outcome, "it broke off")  # type: ignore[arg-type]

    def close(self) -> None:
        pass


def test_equal_genotypes_are_trained_once_in_a_whole_search(tmp_path) -> None:
    executor = Scripted()
    result = run_search(asked(), tmp_path, executor=executor)
    assert sorted(executor.trained.values()) == [1, 1]
    assert all(ranked.trained.derived for stage in result.stages for ranked in stage.ranked)


def test_an_individual_whose_genotype_can_not_be_trained_has_failed_and_says_why(tmp_path) -> None:
    settings = asked().model_copy(update={"retries": 2})
    executor = Scripted("crashed")
    with pytest.raises(Exception, match="short training of genotype .* it broke off"):
        run_search(settings, tmp_path, executor=executor)
    assert sorted(executor.trained.values()) == [3, 3]


def planted(folder: Path) -> Path:
    """Two dots side by side, or one below the other, four pixels apart, anywhere: who sees one at a time can't tell."""
    rng, n = np.random.default_rng(0), 240
    images, labels = np.zeros((n, 12, 12, 1), np.uint8), np.arange(n) % 2
    for image, label in zip(images, labels, strict=True):
        row, column = rng.integers(1, 6, 2)
        image[row, column] = 255
        image[(row + 4, column) if label else (row, column + 4)] = 255
    half = np.arange(n // 2)
    data = StageData(
        images, labels.astype(np.int64), half, half + n // 2, half + n // 2, np.array([0.02]), np.array([0.14]), 2
    )
    data.save(folder / "planted.npz")
    return folder / "planted.npz"


def test_a_genotype_of_skips_alone_is_told_from_one_that_sees_further(tmp_path) -> None:
    config: ResolvedSearchConfig = make_search_config_tiny().model_copy(
        update={
            "derived": DerivedConfig(cells=3, channels=6, epochs=3, batch=16, lr=0.05),
            "augment": AugmentConfig(crop_padding=0, flip=False),
        }
    )
    settings, file = derived_settings(config), str(planted(tmp_path))
    workplace = Workplace(Runtime.from_config(settings.runtime))
    found = []
    for operation in ("skip_connect", "dil_conv_5x5"):
        task = DerivedTask(genotype=make_genotype(operation), settings=settings, data=file)
        found += train_derived(task, workplace, read_derived_images(task), lambda *_: None)
    skips, sees = found
    assert skips.accuracy < 0.7 < 0.9 < sees.accuracy
    assert skips.loss > sees.loss


def test_a_short_training_that_diverges_is_a_value(tmp_path) -> None:
    config: ResolvedSearchConfig = make_search_config_tiny().model_copy(
        update={"derived": DerivedConfig(cells=3, channels=2, epochs=2, batch=16, lr=1e30)}
    )
    task = DerivedTask(genotype=make_genotype(), settings=derived_settings(config), data=str(planted(tmp_path)))
    (outcome,) = LocalExecutor(config.runtime).run([task], lambda *_: None)
    assert isinstance(outcome, FailedDerivedTraining) and outcome.cause == "diverged"


def test_an_individual_that_failed_stays_failed_beside_those_that_are_measured(tmp_path) -> None:
    class OneDiverges(Scripted):
        def run(self, tasks: Any, on_progress: Any) -> Iterator[Any]:
            for outcome in super().run(tasks, on_progress):
                if isinstance(outcome, EvaluatedIndividual | FailedIndividual | DerivedTraining):
                    yield outcome
                elif outcome.individual.id == "init-00":
                    yield FailedIndividual(individual=outcome.individual, reason="loss is NaN", epoch=0)
                else:
                    yield outcome

    result = run_search(asked(), tmp_path, executor=OneDiverges())
    assert [failed.individual.id for failed in result.stages[0].failed] == ["init-00"]
    assert len(result.stages[0].ranked) == 2
