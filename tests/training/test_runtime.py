"""Where and how numbers are computed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import nn

from medarts_ops.config import RuntimeConfig, SearchRuntimeConfig
from medarts_ops.errors import ConfigError
from medarts_ops.executors.local import LocalExecutor
from medarts_ops.training import runtime as runtime_module
from medarts_ops.training.runtime import CUBLAS_WORKSPACE, Gpu, Numerics, Runtime, initial_weights, resolve_runtime


def with_cuda(monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], count: int = 1) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)


def without_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.mark.parametrize(
    ("capability", "amp"), [((7, 5), "fp16"), ((7, 0), "fp16"), ((8, 0), "bf16"), ((8, 9), "bf16"), ((9, 0), "bf16")]
)
def test_auto_takes_fp16_on_turing_and_bf16_from_ampere_on(monkeypatch, capability, amp):
    with_cuda(monkeypatch, capability)
    resolved = resolve_runtime(RuntimeConfig())
    assert (resolved.device, resolved.amp) == ("cuda:0", amp)


def test_auto_on_a_machine_without_gpu_is_the_cpu_in_full_precision(monkeypatch):
    without_cuda(monkeypatch)
    resolved = resolve_runtime(RuntimeConfig())
    assert (resolved.device, resolved.amp) == ("cpu", "off")
    assert isinstance(resolved.threads, int)


def test_workers_share_the_cores(monkeypatch):
    without_cuda(monkeypatch)
    monkeypatch.setattr(runtime_module, "available_cores", lambda: 8)
    assert resolve_runtime(SearchRuntimeConfig(workers=3)).threads == 2
    assert resolve_runtime(SearchRuntimeConfig(workers=16)).threads == 1


def test_resolving_twice_changes_nothing(monkeypatch):
    without_cuda(monkeypatch)
    once = resolve_runtime(RuntimeConfig())
    assert resolve_runtime(once) == once


def test_cuda_without_a_gpu_says_what_to_check(monkeypatch):
    without_cuda(monkeypatch)
    with pytest.raises(ConfigError, match="nvidia-smi"):
        resolve_runtime(RuntimeConfig(device="cuda"))


def test_a_card_that_is_not_there_is_refused(monkeypatch):
    with_cuda(monkeypatch, (7, 5), count=1)
    with pytest.raises(ConfigError, match=r"cuda:3.*has 1 CUDA device"):
        resolve_runtime(RuntimeConfig(device="cuda:3"))


def test_initial_weights_come_from_the_seed_and_leave_the_global_state_alone():
    before = torch.get_rng_state()
    built = []
    for seed in (1, 1, 2):
        with initial_weights(seed):
            built.append(nn.Linear(3, 3).weight)
    assert torch.equal(built[0], built[1]) and not torch.equal(built[0], built[2])
    assert torch.equal(before, torch.get_rng_state())


def test_the_loss_scaler_works_only_under_fp16():
    enabled = {
        amp: Runtime.from_config(RuntimeConfig(device="cpu", amp=amp)).gradient_scaler().is_enabled()
        for amp in ("off", "fp16", "bf16")
    }
    assert enabled == {"off": False, "fp16": True, "bf16": False}


def test_channels_last_is_how_convolutions_are_laid_out():
    layouts = [
        Runtime.from_config(RuntimeConfig(device="cpu", channels_last=last)).place(nn.Conv2d(4, 4, 3)).weight
        for last in (True, False)
    ]
    assert layouts[0].is_contiguous(memory_format=torch.channels_last)
    assert layouts[1].is_contiguous()


def test_fused_optimizers_are_not_used_where_they_ignore_the_scaler():
    fused = {
        amp: Runtime.from_config(RuntimeConfig(device="cpu", amp=amp)).fused_optimizers()
        for amp in ("off", "fp16", "bf16")
    }
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
        config = RuntimeConfig(device="cpu", threads=1, deterministic=deterministic)
        Runtime.from_config(config).apply_to_process()
        if deterministic:
            with pytest.raises(RuntimeError, match="does not have a deterministic implementation"):
                put_two_values_in_one_place()
        else:
            put_two_values_in_one_place()


def test_an_executor_makes_the_process_that_it_trains_in_deterministic(process_as_it_was):
    executor = LocalExecutor(SearchRuntimeConfig(device="cpu", threads=1, workers=1, deterministic=True))
    assert list(executor.run([], lambda who, record: None)) == []
    assert Numerics.of_process().deterministic_algorithms


def test_a_card_takes_the_algorithms_that_repeat_themselves_only_if_asked(process_as_it_was):
    cpu = Runtime.from_config(RuntimeConfig(device="cpu", threads=1))
    card = replace(cpu, device=torch.device("cuda"))  # only settings are touched, which needs no card
    for deterministic in (False, True, False):
        replace(card, deterministic=deterministic).apply_to_process()
        numerics = Numerics.of_process()
        assert numerics.cudnn_deterministic == numerics.deterministic_algorithms == deterministic
        assert numerics.cudnn_benchmark != deterministic


def test_cublas_gets_its_workspace_before_cuda_is_asked_anything(monkeypatch):
    with_cuda(monkeypatch, (8, 0))
    monkeypatch.delenv(CUBLAS_WORKSPACE, raising=False)
    seen: list[str | None] = []

    def capability(device: torch.device) -> tuple[int, int]:
        seen.append(os.environ.get(CUBLAS_WORKSPACE))
        return (8, 0)

    monkeypatch.setattr(torch.cuda, "get_device_capability", capability)
    resolve_runtime(RuntimeConfig(deterministic=False))
    resolve_runtime(RuntimeConfig(deterministic=True))
    assert seen == [None, ":4096:8"]


def test_a_workspace_of_the_users_own_is_kept_if_it_repeats_itself(monkeypatch):
    with_cuda(monkeypatch, (8, 0))
    monkeypatch.setenv(CUBLAS_WORKSPACE, ":16:8")
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    resolve_runtime(RuntimeConfig(deterministic=True))
    assert os.environ[CUBLAS_WORKSPACE] == ":16:8"


@pytest.mark.parametrize(
    ("workspace", "in_use", "found"), [(":0:0", False, "it is ':0:0'"), (None, True, "began to use CUDA without it")]
)
def test_a_process_whose_cublas_is_settled_is_refused(monkeypatch, workspace, in_use, found):
    with_cuda(monkeypatch, (8, 0))
    monkeypatch.delenv(CUBLAS_WORKSPACE, raising=False)
    if workspace:
        monkeypatch.setenv(CUBLAS_WORKSPACE, workspace)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: in_use)
    with pytest.raises(ConfigError, match=f"{found}: allowed are :4096:8 and :16:8; set it before the process starts"):
        resolve_runtime(RuntimeConfig(deterministic=True))
    resolve_runtime(RuntimeConfig(deterministic=False))


def test_a_cpu_needs_nothing_from_cublas(monkeypatch):
    without_cuda(monkeypatch)
    monkeypatch.setenv(CUBLAS_WORKSPACE, ":0:0")
    assert resolve_runtime(RuntimeConfig(deterministic=True)).deterministic


@pytest.mark.parametrize(
    ("deterministic", "wish", "graphs"), [(False, "auto", "on"), (True, "auto", "off"), (True, "on", "on")]
)
def test_graphs_are_left_out_of_a_deterministic_search_unless_asked_for(monkeypatch, deterministic, wish, graphs):
    with_cuda(monkeypatch, (8, 0))
    monkeypatch.setenv(CUBLAS_WORKSPACE, ":4096:8")
    config = SearchRuntimeConfig(workers=1, deterministic=deterministic, cuda_graphs=wish)
    assert resolve_runtime(config).cuda_graphs == graphs


def test_a_cpu_is_no_gpu():
    assert Gpu.of_device(torch.device("cpu")) is None
