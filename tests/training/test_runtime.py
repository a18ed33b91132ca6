"""Where and how numbers are computed."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from medarts_ops.config import RuntimeConfig, SearchRuntimeConfig
from medarts_ops.errors import ConfigError
from medarts_ops.training import runtime as runtime_module
from medarts_ops.training.runtime import Runtime, initial_weights, resolve_runtime


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
