"""What a CUDA graph asks of the steps of a search and of an evaluation, shown without a GPU.

Static shapes, one device, and no waiting.
Tensors of torch's meta device have a shape and no values: an operation that mixes devices, or a look at a value (which
on a GPU would wait for it), is an error. Optimizers know no meta device: they step torch's fake tensors, which say that
they are on a GPU and have no values either, but which nothing can be propagated back through where there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch
from factories import make_evaluate_config_tiny, make_genotype, make_search_config_tiny
from made_up_strategy import NAME, registered_strategy
from torch import Tensor
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from medarts_ops.config import AuxiliaryConfig, SearchConfig
from medarts_ops.data.batches import Batch
from medarts_ops.data.registry import load_dataset
from medarts_ops.data.search_data import prepare_search_data
from medarts_ops.networks import separable
from medarts_ops.populations import random_individual
from medarts_ops.strategies.alpha_tensors import AlphaTensors
from medarts_ops.strategies.registry import STRATEGIES, build_strategy
from medarts_ops.strategies.strategy import StagePlace
from medarts_ops.tasks import TrainingTask
from medarts_ops.training.bilevel import SearchTraining
from medarts_ops.training.member import Member
from medarts_ops.training.placed_images import StageTensors
from medarts_ops.training.runtime import EAGER_STEPS, CapturedStep, Runtime
from medarts_ops.training.supervised import SupervisedTraining

TINY = make_search_config_tiny()
DATA = prepare_search_data(TINY).stages[0]


def config_of(name: str, order: str = "first") -> SearchConfig:
    """The search of a strategy; those that share channels out need enough of them."""
    stages = tuple(stage.model_copy(update={"channels": 4}) for stage in TINY.stages)
    strategy = STRATEGIES.get(name).model_validate({"name": name} | ({"order": order} if order != "first" else {}))
    return TINY.model_copy(update={"strategy": strategy, **({} if name == "darts" else {"stages": stages})})


# First order of all, and second order of two: the second-order step is the same code for all.
ORDERS = [*((name, "first") for name in STRATEGIES.names()), (NAME, "first"), ("darts", "second"), (NAME, "second")]


@pytest.fixture(scope="module", autouse=True)
def strategy_is_registered() -> Iterator[None]:
    with registered_strategy():
        yield


def training_of(config: SearchConfig, runtime: Runtime, stack: int) -> SearchTraining:
    individuals = tuple(random_individual(config, number) for number in range(stack))
    task = TrainingTask(individuals=individuals, stage=config.stages[0], config=config, stage_data="unused")
    training = SearchTraining(task, StageTensors.place(DATA, runtime), runtime)
    training.supernet.train()
    return training


def batches(stack: int, device: str, n: int = 4, side: int = 8) -> tuple[Batch, Batch]:
    images = torch.zeros(stack, n, 1, side, side, device=device)
    labels = torch.zeros(stack, n, dtype=torch.int64, device=device)
    return Batch(images, labels), Batch(images, labels)


class Calls(TorchDispatchMode):
    """Notes the name and the shapes of everything that runs, and from which device to which it copies."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, tuple[torch.Size, ...]]] = []
        self.moves: list[str] = []

    def __torch_dispatch__(self, operation: Any, types: Any, arguments: Sequence[Any] = (), named: Any = None) -> Any:
        result = operation(*arguments, **(named or {}))
        tensors = [each for each in arguments if isinstance(each, Tensor)]
        self.seen.append((str(operation), tuple(each.shape for each in tensors)))
        devices = {each.device.type for each in tensors}
        if isinstance(result, Tensor) and devices and result.device.type not in devices:
            self.moves.append(str(operation))
        return result


@pytest.fixture
def device_without_values(monkeypatch: pytest.MonkeyPatch) -> Iterator[Runtime]:
    """A runtime on torch's meta device."""
    monkeypatch.setattr(Runtime, "generator", lambda self, seed: torch.Generator().manual_seed(seed))
    monkeypatch.setattr(Runtime, "captured", lambda self, step: step)
    monkeypatch.setattr(Runtime, "autocast", lambda self: torch.autocast("cpu", enabled=False))
    # What steps them is shown by fake tensors, below.
    monkeypatch.setattr(Member, "step_alpha", lambda self, gradients, *, scaled: None)
    monkeypatch.setattr(Member, "step_weights", lambda self, gradients: None)
    monkeypatch.setattr(SupervisedTraining, "update", lambda self: None)
    cpu = Runtime.from_config(TINY.runtime)
    yield replace(cpu, device=torch.device("meta"), cuda_graphs=True)
    separable._places.cache_clear()


@pytest.mark.parametrize(("name", "order", "stack"), [*((*each, 2) for each in ORDERS), ("darts", "first", 1)])
def test_a_step_stays_on_its_device_and_never_waits_for_it(device_without_values, name, order, stack):
    training = training_of(config_of(name, order), device_without_values, stack)
    given = (*batches(stack, "meta"), training._draws() + training._draws())
    training.step(*given)  # the first makes optimizer states and tables
    with Calls() as calls, torch.autograd.set_multithreading_enabled(False):
        losses, right, alpha_losses = training.step(*given)
    assert len(calls.seen) > 1000 and calls.moves == []
    assert {each.device.type for each in (losses, right, alpha_losses)} == {"meta"}


def evaluation_of(
    runtime: Runtime, *, checkpoint_cells: bool = False, paths_together: str = "off", **changes: Any
) -> SupervisedTraining:
    """Training with all that a step may have: paths to drop, an auxiliary head, weighed classes, smoothed labels."""
    everything = {"auxiliary": AuxiliaryConfig(), "drop_path": 0.3, "class_weights": "balanced", "label_smoothing": 0.1}
    tiny = make_evaluate_config_tiny()
    how = {"checkpoint_cells": checkpoint_cells, "paths_together": paths_together}
    everything |= {"runtime": tiny.runtime.model_copy(update=how)}
    config = tiny.model_copy(update=everything | {"images": 60, "epochs": 3} | changes)
    return SupervisedTraining(make_genotype(nodes=2), config, load_dataset(config.dataset), runtime)


WAYS = ({}, {"checkpoint_cells": True}, {"paths_together": "on"}, {"checkpoint_cells": True, "paths_together": "on"})
"""How an evaluation's step may be computed."""


@pytest.mark.parametrize("way", WAYS)
def test_a_step_of_an_evaluation_stays_on_its_device_and_never_waits_for_it(device_without_values, way):
    training = evaluation_of(device_without_values, **way)
    training.network.train()
    (images, labels), _ = ((each.images[0], each.labels[0]) for each in batches(1, "meta"))
    draws, share = torch.zeros(training.network.n_paths, 4, device="meta"), torch.zeros((), device="meta")
    with Calls() as calls, torch.autograd.set_multithreading_enabled(False):
        loss, right = training.step(Batch(images, labels), draws, share)
    assert len(calls.seen) > 200 and calls.moves == []
    assert {loss.device.type, right.device.type} == {"meta"}


@pytest.fixture
def gpu_without_values(monkeypatch: pytest.MonkeyPatch) -> Iterator[Runtime]:
    """A runtime on a GPU that is not there."""
    library = torch.library.Library("aten", "IMPL")
    for overload in ("_fused_sgd_", "_fused_sgd_.tensor_lr"):
        # The one kernel that fake tensors don't know; it writes into its arguments and gives nothing.
        library.impl(overload, lambda *arguments, **named: None, "Meta")
    monkeypatch.setattr(Runtime, "generator", lambda self, seed: torch.Generator().manual_seed(seed))
    with FakeTensorMode():
        yield replace(Runtime.from_config(TINY.runtime), device=torch.device("cuda", 0), cuda_graphs=True)
    library._destroy()


@pytest.mark.parametrize("scaled", [False, True])
def test_the_real_optimizers_step_on_their_device_and_never_wait_for_it(gpu_without_values, scaled):
    runtime, individual = gpu_without_values, random_individual(TINY, 0)
    strategy, place = build_strategy(TINY), StagePlace(0, 3, TINY.stages[0])
    alpha = AlphaTensors.stack([individual.alpha], strategy.space.n_primitives, runtime.device)
    weights = [torch.zeros(shape, device=runtime.device) for shape in ((4, 3), (5,))]
    task = TrainingTask(individuals=(individual,), stage=TINY.stages[0], config=TINY, stage_data="unused")
    member = Member(
        task,
        individual,
        weights=weights,
        buffers=[torch.zeros_like(weight) for weight in weights],
        alpha=alpha.slice(0),
        strategy=strategy,
        place=place,
        progress=torch.zeros((), device=runtime.device),
        runtime=runtime,
    )
    gradients = [torch.zeros_like(leaf[0]) for leaf in alpha.leaves()]
    for _ in range(2):  # the first makes the states
        with Calls() as calls:
            member.step_alpha(gradients, scaled=scaled)
            member.step_weights([torch.zeros_like(weight) for weight in weights])
    names = {name for name, _ in calls.seen}
    assert {"aten._fused_adam_.default", "aten._fused_sgd_.tensor_lr"} <= names and calls.moves == []


def test_the_detector_detects_on_a_gpu_without_values(gpu_without_values):
    rate = torch.tensor(0.1, device=gpu_without_values.device)
    optimizer = torch.optim.SGD([torch.zeros(3, device=gpu_without_values.device)], lr=0.1, fused=False)
    optimizer.param_groups[0]["lr"] = rate  # not fused, it looks at the value
    optimizer.param_groups[0]["params"][0].grad = torch.zeros(3, device=gpu_without_values.device)
    with pytest.raises(DataDependentOutputException):
        optimizer.step()


def test_the_detector_detects(device_without_values):
    with pytest.raises(RuntimeError, match="meta"):
        torch.zeros(3, device=device_without_values.device).sum().item()
    with pytest.raises(RuntimeError):
        torch.zeros(3, device=device_without_values.device) @ torch.zeros(3)
    with Calls() as calls:
        torch.zeros(3).to(device_without_values.device)
    assert calls.moves == ["aten._to_copy.default"]


@pytest.mark.parametrize(("name", "order", "side"), [*((*each, 8) for each in ORDERS), ("darts", "first", 16)])
def test_every_step_runs_the_same_operations_on_the_same_shapes(name, order, side):
    training = training_of(config_of(name, order), Runtime.from_config(TINY.runtime), 2)
    given = (*batches(2, "cpu", side=side), training._draws() + training._draws())
    training.step(*given)
    runs = []
    for _ in range(2):
        with Calls() as calls, torch.autograd.set_multithreading_enabled(False):
            training.step(*given)
        runs.append(calls.seen)
    assert runs[0] == runs[1]


@pytest.mark.parametrize("way", WAYS)
def test_every_step_of_an_evaluation_runs_the_same_operations_whatever_its_epoch(way):
    training = evaluation_of(Runtime.from_config(TINY.runtime), **way)
    training.network.train()
    (images, labels), _ = ((each.images[0], each.labels[0]) for each in batches(1, "cpu"))
    runs = []
    for epoch in (0, 0, 1, 2):
        training.set_epoch(epoch)
        (draws,) = training._draws(4)
        with Calls() as calls, torch.autograd.set_multithreading_enabled(False):
            training.step(Batch(images, labels), draws, torch.ones(()))
        runs.append(calls.seen)
    assert runs[1] == runs[2] == runs[3]  # the first makes the momentum


class RunAgain:
    """A stand-in for a graph's replay: the step again, on the tensors that the graph reads."""

    def __init__(self, step: Callable[..., tuple[Tensor, ...]]) -> None:
        self._step, self.steps = step, 0
        self._places: dict[tuple[torch.Size, ...], tuple[list[Tensor], tuple[Tensor, ...]]] = {}

    def __call__(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        self.steps += 1
        shapes = tuple(each.shape for each in tensors)
        if shapes not in self._places:
            inputs = [each.clone() for each in tensors]
            self._places[shapes] = inputs, self._step(*inputs)
            return self._places[shapes][1]
        inputs, outputs = self._places[shapes]
        for mine, given in zip(inputs, tensors, strict=True):
            mine.copy_(given)
        for mine, found in zip(outputs, self._step(*inputs), strict=True):
            mine.copy_(found)
        return outputs


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("validation_share", [0.0, 0.2])
def test_an_evaluation_whose_step_is_a_graph_comes_to_the_same_numbers(monkeypatch, accumulate, validation_share):
    plain = Runtime.from_config(TINY.runtime)
    changes = {"accumulate": accumulate, "validation_share": validation_share, "batch": 16}
    expected = evaluation_of(plain, **changes)
    captured: list[RunAgain] = []
    monkeypatch.setattr(Runtime, "captured", lambda self, step: captured.append(RunAgain(step)) or captured[-1])
    found = evaluation_of(replace(plain, cuda_graphs=True), **changes)
    for epoch in range(3):
        for training in (expected, found):
            training.run_epoch(epoch)
    told = [
        [each.model_dump(exclude={"seconds", "images_per_second"}) for each in training.history]
        for training in (expected, found)
    ]
    assert told[0] == told[1]
    assert torch.equal(expected.test_logits(), found.test_logits())
    assert all(each.steps > 2 for each in captured if accumulate == 2 or each is not captured[0])


class FakeGraph:
    """What `torch.cuda.graph` records, as far as the order of calls goes."""

    made: list[FakeGraph] = []

    def __init__(self) -> None:
        self.replays = 0
        FakeGraph.made.append(self)

    def replay(self) -> None:
        self.replays += 1


@pytest.fixture
def without_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stream:
        def wait_stream(self, other: object) -> None:
            pass

    @contextmanager
    def nothing(of: object) -> Iterator[None]:
        yield

    FakeGraph.made = []
    for name, value in {"CUDAGraph": FakeGraph, "Stream": Stream, "current_stream": Stream}.items():
        monkeypatch.setattr(torch.cuda, name, value)
    monkeypatch.setattr(torch.cuda, "graph", nothing)
    monkeypatch.setattr(torch.cuda, "stream", nothing)


def counted() -> tuple[Callable[..., tuple[Tensor, ...]], list[torch.Size]]:
    shapes: list[torch.Size] = []

    def step(*tensors: Tensor) -> tuple[Tensor, ...]:
        shapes.append(tensors[0].shape)
        return (tensors[0] * 2,)

    return step, shapes


def test_a_step_is_captured_after_the_eager_ones_and_replayed_from_then_on(without_cuda):
    step, ran = counted()
    captured = CapturedStep(step)
    for _ in range(EAGER_STEPS + 3):
        captured(torch.ones(4))
    (graph,) = FakeGraph.made
    assert len(ran) == EAGER_STEPS + 1  # the one more was recorded, not run
    assert graph.replays == 3


def test_a_smaller_batch_runs_without_a_graph(without_cuda):
    step, ran = counted()
    captured = CapturedStep(step)
    for _ in range(EAGER_STEPS + 1):
        captured(torch.ones(4))
    (result,) = captured(torch.ones(3))
    assert ran[-1] == (3,) and torch.equal(result, torch.full((3,), 2.0))
    assert FakeGraph.made[0].replays == 1


def test_a_replay_reads_what_was_given_last(without_cuda):
    step, _ = counted()
    captured = CapturedStep(step)
    for number in range(EAGER_STEPS + 2):
        captured(torch.full((4,), float(number)))
    assert captured._inputs[0].tolist() == [EAGER_STEPS + 1.0] * 4
