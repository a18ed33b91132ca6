"""Where and how numbers are computed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from factories import make_search_runtime
from torch import nn

from medarts_ops.config_runtime import ResolvedRuntime
from medarts_ops.executors.local import LocalExecutor
from medarts_ops.training.runtime import Gpu, Numerics, Runtime, initial_weights


def on_cpu(**given: object) -> Runtime:
    config = {"device": "cpu", "amp": "off", "threads": 1, "channels_last": True} | given
    return Runtime.from_config(ResolvedRuntime.model_validate(config))


def test_initial_weights_come_from_the_seed_and_leave_the_global_state_alone():
    before = torch.get_rng_state()
    built = []
    for seed in (1, 1, 2):
        with initial_weights(seed):
            built.append(nn.Linear(3, 3).weight)
    assert torch.equal(built[0], built[1]) and not torch.equal(built[0], built[2])
    assert torch.equal(before, torch.get_rng_state())


def test_the_loss_scaler_works_only_under_fp16():
    enabled = {amp: on_cpu(amp=amp).gradient_scaler().is_enabled() for amp in ("off", "fp16", "bf16")}
    assert enabled == {"off": False, "fp16": True, "bf16": False}


def test_channels_last_is_how_convolutions_are_laid_out():
    layouts = [on_cpu(channels_last=last).place(nn.Conv2d(4, 4, 3)).weight for last in (True, False)]
    assert layouts[0].is_contiguous(memory_format=torch.channels_last)
    assert layouts[1].is_contiguous()


def test_fused_optimizers_are_not_used_where_they_ignore_the_scaler():
    fused = {amp: on_cpu(amp=amp).fused_optimizers() for amp in ("off", "fp16", "bf16")}
    assert fused == {"off": True, "fp16": False, "bf16": True}


@pytest.fixture
def process_as_it_was() -> Iterator[None]:
    """What torch holds per process is put back after the test."""
    before = Numerics.of_process()
    yield
    torch.set_num_threads(before.threads)
    torch.use_deterministic_algorithms(before.deterministic_algorithms)
    torch.backends.cudnn.benchmark = before.cudnn_benchmark
    torch.backends.cudnn.deterministic = before.cudnn_deterministic
    torch.backends.cudnn.allow_tf32 = before.cudnn_tf32
    torch.backends.cuda.matmul.allow_tf32 = before.matmul_tf32


def put_two_values_in_one_place() -> None:
    torch.zeros(3).put_(torch.tensor([1, 1]), torch.tensor([1.0, 2.0]))


def test_deterministic_makes_an_operation_that_is_not_an_error_and_the_next_runtime_allows_it(process_as_it_was):
    for deterministic in (False, True, False):
        on_cpu(deterministic=deterministic).apply_to_process()
        if deterministic:
            with pytest.raises(RuntimeError, match="does not have a deterministic implementation"):
                put_two_values_in_one_place()
        else:
            put_two_values_in_one_place()


def test_an_executor_makes_the_process_that_it_trains_in_deterministic(process_as_it_was):
    executor = LocalExecutor(make_search_runtime(deterministic=True))
    assert list(executor.run([], lambda who, record: None)) == []
    assert Numerics.of_process().deterministic_algorithms


def test_a_card_takes_the_algorithms_that_repeat_themselves_only_if_asked(process_as_it_was):
    card = replace(on_cpu(), device=torch.device("cuda"))  # only settings are touched, which needs no card
    for deterministic in (False, True, False):
        replace(card, deterministic=deterministic).apply_to_process()
        numerics = Numerics.of_process()
        assert numerics.cudnn_deterministic == numerics.deterministic_algorithms == deterministic
        assert numerics.cudnn_benchmark != deterministic


def test_a_cpu_is_no_gpu():
    assert Gpu.of_device(torch.device("cpu")) is None
