"""A network whose training step torch compiles."""

from __future__ import annotations

import os
import shutil
from functools import partial

import pytest
import torch
from factories import make_evaluate_config_tiny, make_genotype

from medarts_ops.data.registry import load_dataset
from medarts_ops.errors import ConfigError
from medarts_ops.individual import EvaluationEpoch
from medarts_ops.training.runtime import Runtime, check_can_compile
from medarts_ops.training.supervised import SupervisedTraining

CONFIG = make_evaluate_config_tiny().model_copy(update={"batch": 64, "images": 150, "epochs": 2})


def trained(
    *, compiles: bool, operation: str = "sep_conv_3x3", nodes: int = 2
) -> tuple[SupervisedTraining, list[EvaluationEpoch]]:
    """Two epochs of two whole batches and a smaller one; in the second paths are dropped."""
    config = CONFIG.model_copy(update={"runtime": CONFIG.runtime.model_copy(update={"compile": compiles})})
    runtime = Runtime.from_config(config.runtime)
    runtime.apply_to_process()
    training = SupervisedTraining(make_genotype(operation, nodes=nodes), config, load_dataset(config.dataset), runtime)
    return training, [training.run_epoch(epoch) for epoch in range(2)]


def losses(history: list[EvaluationEpoch]) -> list[float]:
    return [each for record in history for each in (record.train_loss, record.test_loss)]


def test_whole_batches_alone_are_compiled_once_and_come_to_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The graph is torch's whole one, forward and backward; its kernels are the eager ones, which is quick."""
    torch.compiler.reset()
    sizes: list[int] = []

    def backend(graph: torch.fx.GraphModule, given: list[torch.Tensor]) -> object:
        sizes.append(next(each.shape[0] for each in given if each.ndim == 4 and each.shape[1:] == (1, 8, 8)))
        return graph.forward

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend, fullgraph=True))
    plain, again = (trained(compiles=each) for each in (False, True))
    assert sizes == [64]
    assert losses(again[1]) == pytest.approx(losses(plain[1]), rel=1e-5)
    assert [*again[0].network.state_dict()] == [*plain[0].network.state_dict()]


def test_a_machine_without_a_compiler_refuses_before_anything_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("CXX", "clang++-99 -pipe")
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(ConfigError, match=r"runtime.compile is true .* no clang\+\+-99: .* leave --compile out"):
        check_can_compile(torch.device("cpu"))
    with pytest.raises(ConfigError, match="no gcc"):
        check_can_compile(torch.device("cuda"))
    monkeypatch.setattr("shutil.which", lambda name: name)
    monkeypatch.setattr("medarts_ops.training.runtime.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="pip install triton"):
        check_can_compile(torch.device("cuda"))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which(os.environ.get("CXX", "g++")) is None, reason="no C++ compiler")
def test_torchs_own_compiler_comes_to_the_same_numbers_and_to_the_same_bits_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.compiler.reset()
    compiled: list[object] = []
    own = torch.compile
    monkeypatch.setattr(torch, "compile", lambda *given, **named: compiled.append(given) or own(*given, **named))
    small = {"operation": "skip_connect", "nodes": 1}  # compiling takes seconds an operation
    plain, once, again = (losses(trained(compiles=each, **small)[1]) for each in (False, True, True))
    assert once == again
    assert once == pytest.approx(plain, rel=5e-3) and len(compiled) == 2
