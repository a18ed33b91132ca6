"""A search that was stopped anywhere goes on to the result of one that never was."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from clocks import without_clocks
from factories import make_search_config_tiny
from journals import new_journal, without_digests

from medarts_ops.config import ProposalsConfig, SearchConfig
from medarts_ops.errors import DataError, SearchError
from medarts_ops.individual import Hyperparameters, Individual, SearchResult
from medarts_ops.journal.journal import JOURNAL_NAME, Journal
from medarts_ops.journal.kinds import SEARCH
from medarts_ops.journal.lock import job_lock
from medarts_ops.observers import EpochFinished, IndividualFinished, SearchEvent, SearchStarted, SearchStopped
from medarts_ops.search import resume_search, run_search


def two_epochs(config: SearchConfig) -> SearchConfig:
    """Long enough that there is a middle of an individual's training; a step an epoch."""
    stages = tuple(stage.model_copy(update={"epochs": 2, "images": 40}) for stage in config.stages)
    return config.model_copy(update={"stages": stages, "proposals": ProposalsConfig(generations=2)})


CONFIG = two_epochs(make_search_config_tiny())


class Proposals:
    """Another learning rate for each individual; `first` makes another history of proposals."""

    def __init__(self, first: int = 0) -> None:
        self.first = first

    def propose(self, generation: int, size: int) -> tuple[Hyperparameters, ...]:
        usual = Hyperparameters.from_config(CONFIG)
        numbers = range(self.first + generation * size, self.first + (generation + 1) * size)
        return tuple(usual.model_copy(update={"alpha_lr": 1e-3 * (1 + n)}) for n in numbers)

    def tell(self, generation: int, outcomes: object) -> None:
        pass


class Interrupt:
    """Raises at the `at`-th event, as Ctrl-C would."""

    def __init__(self, at: int) -> None:
        self.left = at

    def notify(self, event: SearchEvent) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


class Listener:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.keys: list[str] = []

    def notify(self, event: SearchEvent) -> None:
        self.keys.append(event.key)


def told(result: SearchResult) -> Any:
    return without_clocks(result.model_dump(mode="json"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[SearchResult, Path]:
    """A search that nothing disturbed, and its folder."""
    folder = tmp_path_factory.mktemp("whole")
    return run_search(CONFIG, folder, proposer=Proposals()), folder


@pytest.fixture(scope="module")
def whole(finished: tuple[SearchResult, Path]) -> tuple[SearchResult, list[str]]:
    """That search, and the keys of its events in order."""
    result, folder = finished
    return result, [event.key for _, event in Journal.open(folder, SEARCH).events()]


@pytest.mark.parametrize("at", [1, 2, 3, 5, 6, 12, 25, 33, 38])
def test_stopped_at_any_event_and_resumed_it_ends_as_if_it_never_was(tmp_path, whole, at):
    expected, keys = whole
    with pytest.raises(KeyboardInterrupt):
        run_search(CONFIG, tmp_path, proposer=Proposals(), observers=[Interrupt(at)])
    listener = Listener()
    result = resume_search(tmp_path, proposer=Proposals(), observers=[listener])
    assert told(result) == told(expected)
    held = [event.key for _, event in Journal.open(tmp_path, SEARCH).events()]
    assert sorted(key for key in of_the_work(held) if key != "search_stopped") == sorted(of_the_work(keys))
    assert set(of_the_work(listener.keys)) == set(of_the_work(keys))
    assert {key for key in held if key.startswith("process_started")} <= set(listener.keys)


def of_the_work(keys: list[str]) -> list[str]:
    """Without those of the processes that did it, each of which has one of its own."""
    return [key for key in keys if not key.startswith("process_started/")]


def test_it_can_be_stopped_again_and_again(tmp_path, whole):
    with pytest.raises(KeyboardInterrupt):
        run_search(CONFIG, tmp_path, proposer=Proposals(), observers=[Interrupt(4)])
    for at in (7, 14, 40):
        with pytest.raises(KeyboardInterrupt):
            resume_search(tmp_path, proposer=Proposals(), observers=[Interrupt(at)])
    assert told(resume_search(tmp_path, proposer=Proposals())) == told(whole[0])
    stops = [event for _, event in Journal.open(tmp_path, SEARCH).events() if isinstance(event, SearchStopped)]
    assert [stop.number for stop in stops] == [0, 1, 2, 3]


def at_epoch(individual_id: str, epoch: int) -> Callable[[SearchEvent], bool]:
    return lambda event: (
        isinstance(event, EpochFinished) and (event.individual_id, event.record.epoch) == (individual_id, epoch)
    )


def test_an_individual_in_training_goes_on_after_its_last_whole_epoch(tmp_path):
    trained: list[str] = []

    class InTheSecondEpoch:
        def notify(self, event: SearchEvent) -> None:
            if at_epoch("init-01", 1)(event):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_search(CONFIG, tmp_path, proposer=Proposals(), observers=[InTheSecondEpoch()])
    (checkpoint,) = [path for path in (tmp_path / "checkpoints").iterdir() if path.name == "init-01.pt"]
    before = checkpoint.stat().st_mtime_ns

    class Watching:
        def notify(self, event: SearchEvent) -> None:
            if isinstance(event, EpochFinished) and event.individual_id == "init-01":
                trained.append(f"{event.record.epoch} {checkpoint.stat().st_mtime_ns == before}")

    resume_search(tmp_path, proposer=Proposals(), observers=[Watching()])
    assert trained == ["0 True", "1 True"]  # epoch 0 came from the checkpoint, epoch 1 was trained before the next one


def test_without_checkpoints_an_individual_starts_over(tmp_path, whole):
    with pytest.raises(KeyboardInterrupt):
        run_search(CONFIG, tmp_path, proposer=Proposals(), observers=[Interrupt(6)])
    shutil.rmtree(tmp_path / "checkpoints")
    assert told(resume_search(tmp_path, proposer=Proposals())) == told(whole[0])


def test_a_checkpoint_of_other_settings_is_named_and_not_used(tmp_path, whole, caplog):
    with pytest.raises(KeyboardInterrupt):
        run_search(CONFIG, tmp_path, proposer=Proposals(), observers=[Interrupt(6)])
    ours = tmp_path / "checkpoints" / "init-00.pt"
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(KeyboardInterrupt):
        run_search(CONFIG.model_copy(update={"seed": 9}), other, proposer=Proposals(), observers=[Interrupt(6)])
    shutil.copy(other / "checkpoints" / ours.name, ours)
    assert told(resume_search(tmp_path, proposer=Proposals())) == told(whole[0])
    assert "of other settings" in caplog.text


def test_checkpoints_are_gone_when_the_search_is_over(finished):
    assert not (finished[1] / "checkpoints").exists()


def test_a_finished_search_has_nothing_to_resume(finished):
    with pytest.raises(SearchError, match="is finished"):
        resume_search(finished[1], proposer=Proposals())


def test_a_search_that_never_began_is_started_anew(tmp_path):
    new_journal(tmp_path, tmp_path.name)
    with pytest.raises(SearchError, match="never began"):
        resume_search(tmp_path)


def test_other_images_are_refused(tmp_path, monkeypatch):
    with pytest.raises(KeyboardInterrupt):
        run_search(CONFIG, tmp_path, observers=[Interrupt(5)])
    path = tmp_path / JOURNAL_NAME
    content = without_digests(path.read_bytes()).decode()
    fingerprint = Journal.open(tmp_path, SEARCH).find(SearchStarted).dataset.fingerprint  # type: ignore[union-attr]
    path.write_text(content.replace(fingerprint, "0" * len(fingerprint)))
    with pytest.raises(DataError, match="began with other images"):
        resume_search(tmp_path)


def test_a_search_at_work_is_not_resumed_beside_it(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run_search(CONFIG, tmp_path, observers=[Interrupt(5)])
    with job_lock(tmp_path), pytest.raises(SearchError, match="is at work in process"):
        resume_search(tmp_path)


def test_failed_individuals_stay_failed(tmp_path):
    wild = CONFIG.model_copy(update={"weights": CONFIG.weights.model_copy(update={"grad_clip": 1e30})})

    class OneWild(Proposals):
        def propose(self, generation: int, size: int) -> tuple[Hyperparameters, ...]:
            first, *others = super().propose(generation, size)
            return first.model_copy(update={"weights_lr": 1e30}), *others

    class AfterTheFirst:
        def notify(self, event: SearchEvent) -> None:
            if isinstance(event, IndividualFinished) and event.individual.id == "init-01":
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_search(wild, tmp_path, proposer=OneWild(), observers=[AfterTheFirst()])
    trained: list[str] = []

    class Told:
        def notify(self, event: SearchEvent) -> None:
            if isinstance(event, IndividualFinished):
                trained.append(event.individual.id)

    result = resume_search(tmp_path, proposer=OneWild(), observers=[Told()])
    assert "init-00" in [failed.individual.id for failed in result.stages[0].failed]
    assert trained.count("init-00") == 1


def test_stacks_resume_too(tmp_path):
    config = CONFIG.model_copy(update={"runtime": CONFIG.runtime.model_copy(update={"stack": 2})})
    straight = tmp_path / "straight"
    straight.mkdir()
    expected = run_search(config, straight, proposer=Proposals())
    stopped = tmp_path / "stopped"
    stopped.mkdir()

    class BetweenTwoOfAStack:
        def notify(self, event: SearchEvent) -> None:
            if isinstance(event, IndividualFinished) and event.individual.id == "init-00":
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_search(config, stopped, proposer=Proposals(), observers=[BetweenTwoOfAStack()])
    assert told(resume_search(stopped, proposer=Proposals())) == told(expected)


def test_individuals_are_what_they_were_born_as(tmp_path, whole):
    born: dict[str, Individual] = {}
    with pytest.raises(KeyboardInterrupt):
        run_search(CONFIG, tmp_path, proposer=Proposals(), observers=[Interrupt(5)])
    result = resume_search(tmp_path, proposer=Proposals(first=100))  # another history of proposals
    for ranked in result.stages[0].ranked:
        born[ranked.id] = ranked.trained.individual
    first = {ranked.id: ranked.trained.individual for ranked in whole[0].stages[0].ranked}
    assert [born[f"init-0{n}"] for n in range(3)] == [first[f"init-0{n}"] for n in range(3)]
