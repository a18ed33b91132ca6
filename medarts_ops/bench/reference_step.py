"""The search step as the original DARTS code runs it: what the product is measured against."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from medarts_ops.bench.reference import ReferenceSupernet, StackOfOne
from medarts_ops.config import ResolvedSearchConfig, SearchConfig, StageConfig, WeightsConfig
from medarts_ops.data.batches import Batch
from medarts_ops.networks.layout import SupernetSpec
from medarts_ops.strategies.alpha_tensors import AlphaTensors
from medarts_ops.strategies.darts import Darts
from medarts_ops.strategies.problem import BilevelProblem, LossScales, Moment, WeightStep
from medarts_ops.strategies.registry import build_strategy

Order = Literal["first", "second"]


def reference_step(
    config: ResolvedSearchConfig, stage: StageConfig, batches: tuple[Batch, Batch], n_classes: int, order: Order
) -> Callable[[], object]:
    """An iteration as the original DARTS code runs it, on `batches` (of w, of α), [image, …].

    One module an edge and operation, NCHW, `none` computed, all gradients in both first-order steps (the α step's
    weight gradients are thrown away), per-tensor optimizers. In full precision, whatever `config.runtime.amp` says.
    """
    device = batches[0].images.device
    spec = SupernetSpec.full(config.space.search_space())
    in_channels = batches[0].images.shape[1]
    sizes = {"cells": stage.cells, "channels": stage.channels, "n_classes": n_classes, "in_channels": in_channels}
    plain = ReferenceSupernet(spec, **sizes, stem=config.stem).to(device)
    alpha = Darts(spec.space).initial_alpha(0.0, np.random.default_rng(0))
    alphas = AlphaTensors.stack([alpha], spec.space.n_primitives, device)
    train, valid = (Batch(batch.images.contiguous(), batch.labels) for batch in batches)
    betas = (config.alpha.beta1, config.alpha.beta2)
    alpha_optimizer = torch.optim.Adam(
        alphas.leaves(), lr=config.alpha.lr, betas=betas, weight_decay=config.alpha.weight_decay, foreach=False
    )
    if order == "first":
        weights_optimizer = plain_sgd(plain, config.weights)
        back_propagate, differentiate_alpha = _first_order(plain, alpha_optimizer, alphas, train, valid)
    else:
        network = StackOfOne(plain).to(device)
        weights_optimizer = plain_sgd(network, config.weights)
        stacked = (Batch(each.images[None], each.labels[None]) for each in (train, valid))
        back_propagate, differentiate_alpha = _second_order(config, network, weights_optimizer, alphas, *stacked)

    def step() -> None:
        differentiate_alpha()
        alpha_optimizer.step()
        step_weights(weights_optimizer, back_propagate, config.weights.grad_clip)

    return step


def plain_sgd(network: nn.Module, settings: WeightsConfig) -> torch.optim.SGD:
    """The weights' optimizer, a tensor at a time."""
    return torch.optim.SGD(
        network.parameters(),
        lr=settings.lr,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        foreach=False,
    )


def step_weights(optimizer: torch.optim.SGD, back_propagate: Callable[[], None], grad_clip: float) -> None:
    """A step whose gradients are clipped a tensor at a time."""
    optimizer.zero_grad()
    back_propagate()
    torch.nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"], grad_clip, foreach=False)
    optimizer.step()


def _first_order(
    network: ReferenceSupernet, optimizer: torch.optim.Adam, alphas: AlphaTensors, train: Batch, valid: Batch
) -> tuple[Callable[[], None], Callable[[], None]]:
    """What gives the weights their gradients, and what gives α, which `optimizer` steps, its."""

    def back_propagate(batch: Batch) -> None:
        logits = network(batch.images, *(torch.softmax(alpha[0], dim=-1) for alpha in alphas.leaves()))
        F.cross_entropy(logits, batch.labels).backward()

    def differentiate_alpha() -> None:
        optimizer.zero_grad()
        back_propagate(valid)

    return lambda: back_propagate(train), differentiate_alpha


def _second_order(
    config: SearchConfig, network: StackOfOne, optimizer: torch.optim.SGD, alphas: AlphaTensors, *batches: Batch
) -> tuple[Callable[[], None], Callable[[], None]]:
    """As `_first_order`, of a stack of one; `batches` of w and of α."""
    (train, valid), device = batches, batches[0].images.device
    strategy = build_strategy(config)
    buffers = {name: torch.zeros_like(weight) for name, weight in network.named_parameters()}
    for name, weight in network.named_parameters():
        optimizer.state[weight]["momentum_buffer"] = buffers[name]
    rates = torch.full((1,), config.weights.lr, device=device)
    problem = BilevelProblem(
        supernet=network,
        strategy=strategy,
        alpha=alphas,
        moment=Moment("alpha", torch.zeros((), device=device)),
        weight_step=WeightStep(rates, config.weights.momentum, config.weights.weight_decay, buffers),
        scales=LossScales([torch.amp.GradScaler(enabled=False)]),
        autocast=lambda: torch.autocast(device.type, enabled=False),
    )

    def differentiate_alpha() -> None:
        gradient = strategy.architecture_gradient(problem, train, valid)
        for alpha, value in zip(alphas.leaves(), gradient.gradients, strict=True):
            alpha.grad = value

    return lambda: problem.losses(train).sum().backward(), differentiate_alpha
