"""Steps that are timed before a training begins."""

from __future__ import annotations

from types import SimpleNamespace

import torch

from medarts_ops.training.runtime import EAGER_STEPS
from medarts_ops.training.trial_steps import time_interleaved


def test_a_step_that_a_card_captures_is_timed_when_it_is_replayed(monkeypatch):
    happened: list[str] = []
    card = SimpleNamespace(synchronize=lambda device: happened.append("wait"))
    monkeypatch.setattr(torch, "get_device_module", lambda device: card)
    time_interleaved({"step": lambda: happened.append("step")}, 2, torch.device("cuda"))
    # Eager ones, the one that captures, and then those that are timed.
    assert happened == ["step"] * (EAGER_STEPS + 1) + ["wait", "step", "wait"] * 2
