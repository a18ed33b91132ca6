"""What happens to a group when its training breaks off."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from factories import make_search_config_tiny

from medarts_ops.data.search_data import prepare_search_data
from medarts_ops.errors import StoreError
from medarts_ops.individual import FailedIndividual, Individual, Outcome, TrainedIndividual
from medarts_ops.populations import random_individual
from medarts_ops.tasks import TrainingTask
from medarts_ops.training.bilevel import SearchTraining
from medarts_ops.training.carry_out import carry_out
from medarts_ops.training.group import EpochCallback
from medarts_ops.training.placed_images import StageTensors
from medarts_ops.training.runtime import Runtime
from medarts_ops.training.workplace import Workplace

CONFIG = make_search_config_tiny()
RUNTIME = Runtime.from_config(CONFIG.runtime)
TENSORS = StageTensors.place(prepare_search_data(CONFIG).stages[0], RUNTIME)


def trained(
    n: int, folder: Path | None = None, on_epoch: EpochCallback = lambda who, record: None, epochs: int = 1
) -> list[Outcome]:
    task = TrainingTask(
        individuals=tuple(random_individual(CONFIG, number) for number in range(n)),
        stage=CONFIG.stages[0].model_copy(update={"epochs": epochs}),
        config=CONFIG,
        stage_data="unused",
        checkpoint=None if folder is None else str(folder / "group.pt"),
    )
    return list(carry_out(task, Workplace(RUNTIME, TENSORS, task.stage_data), on_epoch))


def with_room_for(monkeypatch: pytest.MonkeyPatch, n: int) -> list[int]:
    """A device on which stacks of more than `n` run out of memory; returns the sizes that were tried."""
    tried: list[int] = []
    original = SearchTraining.step

    def step(self: SearchTraining, *batches: object, **how: object) -> object:
        tried.append(len(self.members))
        if len(self.members) > n:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")
        return original(self, *batches, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(SearchTraining, "step", step)
    return tried


@pytest.mark.parametrize("checkpointed", [False, True])
def test_a_stack_that_runs_out_of_memory_is_trained_in_halves(monkeypatch, tmp_path, checkpointed):
    alone = {outcome.individual.id: outcome for n in range(1) for outcome in trained(1)}
    tried = with_room_for(monkeypatch, 1)
    outcomes = trained(3, tmp_path if checkpointed else None)
    assert [outcome.individual.number for outcome in outcomes] == [0, 1, 2]
    assert all(isinstance(outcome, TrainedIndividual) for outcome in outcomes)
    assert tried[0] == 3 and set(tried) == {3, 2, 1}
    assert outcomes[0].alpha == alone["init-00"].alpha  # type: ignore[union-attr]


def test_a_stack_of_those_that_go_on_is_trained_in_the_halves_that_its_beginning_was(monkeypatch, tmp_path):
    stage = CONFIG.stages[0].model_copy(update={"epochs": 2})
    everybody = tuple(random_individual(CONFIG, number) for number in range(4))
    whole = TrainingTask(
        individuals=everybody, stage=stage, config=CONFIG, stage_data="", checkpoint=str(tmp_path / "group.pt")
    )
    begun = whole.model_copy(update={"until": 1})
    rest = begun.going_on({"init-00", "init-02", "init-03"})
    assert rest is not None and rest.identity != begun.identity and begun.going_on(()) is None
    with_room_for(monkeypatch, 1)

    def outcomes(task: TrainingTask) -> list[Outcome]:
        return list(carry_out(task, Workplace(RUNTIME, TENSORS, ""), lambda who, record: None))

    assert [len(outcome.history) for outcome in outcomes(begun)] == [1] * 4  # type: ignore[union-attr]
    ended = outcomes(rest)
    assert [outcome.individual.number for outcome in ended] == [0, 2, 3]
    alone = {outcome.individual.id: outcome for each in everybody for outcome in outcomes(_alone(whole, each))}
    assert all(outcome.alpha == alone[outcome.individual.id].alpha for outcome in ended)  # type: ignore[union-attr]


def _alone(task: TrainingTask, individual: Individual) -> TrainingTask:
    return task.model_copy(update={"individuals": (individual,), "checkpoint": None})


def test_an_individual_that_does_not_fit_has_failed_and_says_what_to_lower(monkeypatch):
    with_room_for(monkeypatch, 0)
    (outcome,) = trained(1)
    assert isinstance(outcome, FailedIndividual) and outcome.cause == "out_of_memory"
    for word in ("init-00", "batch", "channels", "runtime.stack"):
        assert word in outcome.reason


def test_an_error_of_the_library_fails_the_group_and_not_the_search(monkeypatch):
    def step(self: SearchTraining, *batches: object, **how: object) -> object:
        raise RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED")

    monkeypatch.setattr(SearchTraining, "step", step)
    outcomes = trained(2)
    assert [outcome.cause for outcome in outcomes if isinstance(outcome, FailedIndividual)] == ["crashed", "crashed"]
    assert all("CUDNN_STATUS" in outcome.reason for outcome in outcomes if isinstance(outcome, FailedIndividual))


@pytest.mark.parametrize(
    ("error", "named"),
    [
        (TypeError("'int' object\n is not iterable"), "TypeError: 'int' object is not iterable"),
        (KeyError(3), "KeyError: 3"),
    ],
)
def test_a_mistake_in_the_code_fails_the_group_and_its_traceback_is_in_the_log(monkeypatch, caplog, error, named):
    def step(self: SearchTraining, *batches: object, **how: object) -> object:
        raise error

    monkeypatch.setattr(SearchTraining, "step", step)
    outcomes = trained(2)
    assert [outcome.cause for outcome in outcomes if isinstance(outcome, FailedIndividual)] == ["crashed", "crashed"]
    assert all(f"training broke off ({named})" in outcome.reason for outcome in outcomes)  # type: ignore[union-attr]
    assert "init-00, init-01" in caplog.text and "in step\n    raise error" in caplog.text


@pytest.mark.parametrize(
    "error", [StoreError("it is down"), RuntimeError("listening"), MemoryError(), KeyboardInterrupt()]
)
def test_what_a_listener_raises_is_no_failure_of_the_training(error):
    def listen(who: object, record: object) -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        trained(1, on_epoch=listen)
    assert caught.value is error


def test_alpha_is_kept_after_every_epoch_and_the_last_is_the_trained_one() -> None:
    (outcome,) = trained(1, epochs=3)
    assert isinstance(outcome, TrainedIndividual)
    alphas = [record.alpha for record in outcome.history]
    assert len(alphas) == 3 and alphas[-1] == outcome.alpha
    kept = [alpha.normal for alpha in (outcome.individual.alpha, *alphas) if alpha is not None]
    assert len(set(kept)) == 4  # it moves in every epoch
