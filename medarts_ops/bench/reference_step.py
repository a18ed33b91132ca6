"""The search step as the original DARTS code runs it: what the product is measured against."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from medarts_ops.bench.reference import ReferenceSupernet, StackOfOne
from medarts_ops.config import SearchConfig, StageConfig
from medarts_ops.data.batches import Batch
from medarts_ops.networks.layout import SupernetSpec
from medarts_ops.strategies.alpha_tensors import AlphaTensors
from medarts_ops.strategies.darts import FirstOrderDarts
from medarts_ops.strategies.problem import BilevelProblem, LossScales, Moment, WeightStep
from medarts_ops.strategies.registry import build_strategy

Order = Literal["first", "second"]


def reference_step(
    config: SearchConfig, stage: StageConfig, batches: tuple[Batch, Batch], n_classes: int, order: Order
) -> Callable[[], object]:
    """An iteration as the original DARTS code runs it, on `batches` (of w, of α), [image, …].

    One module an edge and operation, NCHW, `none` computed, all gradients in both first-order steps (the α step's
    weight gradients are thrown away), per-tensor optimizers. In full precision, whatever `config.runtime.amp` says.
    """
    device = batches[0].images.device
    spec = SupernetSpec.full(config.space.search_space())
    in_channels = batches[0].images.shape[1]
    network = ReferenceSupernet(
        spec, cells=stage.cells, channels=stage.channels, n_classes=n_classes, in_channels=in_channels
    ).to(device)
    alpha = FirstOrderDarts(spec.space).initial_alpha(0.0, np.random.default_rng(0))
    alphas = AlphaTensors.stack([alpha], spec.space.n_primitives, device)
    train, valid = (Batch(batch.images.contiguous(), batch.labels) for batch in batches)
    if order == "first":
        return _first_order(config, network, alphas, train, valid)
    stack = StackOfOne(network).to(device)
    return _second_order(
        config, stack, alphas, *(Batch(each.images[None], each.labels[None]) for each in (train, valid))
    )


def _first_order(
    config: SearchConfig, network: ReferenceSupernet, alphas: AlphaTensors, train: Batch, valid: Batch
) -> Callable[[], object]:
    weights_optimizer, alpha_optimizer = _optimizers(config, network.parameters(), alphas)

    def back_propagate(batch: Batch) -> None:
        logits = network(batch.images, *(torch.softmax(alpha[0], dim=-1) for alpha in alphas.leaves()))
        F.cross_entropy(logits, batch.labels).backward()

    def step() -> None:
        alpha_optimizer.zero_grad()
        back_propagate(valid)
        alpha_optimizer.step()
        weights_optimizer.zero_grad()
        back_propagate(train)
        _clip_and_step(config, network, weights_optimizer)

    return step


def _second_order(
    config: SearchConfig, network: StackOfOne, alphas: AlphaTensors, train: Batch, valid: Batch
) -> Callable[[], object]:
    weights_optimizer, alpha_optimizer = _optimizers(config, network.parameters(), alphas)
    strategy = build_strategy(config)
    buffers = {name: torch.zeros_like(weight) for name, weight in network.named_parameters()}
    for name, weight in network.named_parameters():
        weights_optimizer.state[weight]["momentum_buffer"] = buffers[name]
    rates = torch.full((1,), config.weights.lr, device=train.images.device)
    problem = BilevelProblem(
        supernet=network,
        strategy=strategy,
        alpha=alphas,
        moment=Moment("alpha", *(torch.zeros((), device=train.images.device) for _ in range(2))),
        weight_step=WeightStep(rates, config.weights.momentum, config.weights.weight_decay, buffers),
        scales=LossScales([torch.amp.GradScaler(enabled=False)]),
        autocast=lambda: torch.autocast(train.images.device.type, enabled=False),
    )

    def step() -> None:
        gradient = strategy.architecture_gradient(problem, train, valid)
        for alpha, value in zip(alphas.leaves(), gradient.gradients, strict=True):
            alpha.grad = value
        alpha_optimizer.step()
        weights_optimizer.zero_grad()
        problem.losses(train).sum().backward()
        _clip_and_step(config, network, weights_optimizer)

    return step


def _optimizers(
    config: SearchConfig, weights: Iterable[Tensor], alphas: AlphaTensors
) -> tuple[torch.optim.SGD, torch.optim.Adam]:
    weights_optimizer = torch.optim.SGD(
        weights,
        lr=config.weights.lr,
        momentum=config.weights.momentum,
        weight_decay=config.weights.weight_decay,
        foreach=False,
    )
    alpha_optimizer = torch.optim.Adam(
        alphas.leaves(),
        lr=config.alpha.lr,
        betas=(config.alpha.beta1, config.alpha.beta2),
        weight_decay=config.alpha.weight_decay,
        foreach=False,
    )
    return weights_optimizer, alpha_optimizer


def _clip_and_step(config: SearchConfig, network: nn.Module, optimizer: torch.optim.SGD) -> None:
    torch.nn.utils.clip_grad_norm_(network.parameters(), config.weights.grad_clip, foreach=False)
    optimizer.step()
