"""Small bilevel problems for tests of strategies: a tiny supernet, α as a strategy starts it, and batches."""

from __future__ import annotations

import numpy as np
import torch
from factories import make_search_config_tiny

from medarts_ops.alpha import Alpha
from medarts_ops.config import StageConfig
from medarts_ops.data.batches import Batch
from medarts_ops.networks.skip_dropout import SkipDropout
from medarts_ops.networks.supernet import Supernet
from medarts_ops.space.search_space import SearchSpace
from medarts_ops.strategies.alpha_tensors import AlphaTensors
from medarts_ops.strategies.problem import BilevelProblem, LossScales, Moment, Phase, WeightStep
from medarts_ops.strategies.strategy import StagePlace, Strategy

SPACE = SearchSpace(n_nodes=2)
CPU = torch.device("cpu")
N_CLASSES = 3


def make_place(index: int = 0) -> StagePlace:
    """The first stage of three, unless another is asked for."""
    stage: StageConfig = make_search_config_tiny().stages[index]
    return StagePlace(index, 3, stage)


def make_moment(phase: Phase = "alpha", progress: float = 0.25) -> Moment:
    """When that share of the search is over."""
    return Moment(phase, torch.tensor(progress))


def make_alpha_of(strategy: Strategy, n: int = 1, std: float = 0.1) -> list[Alpha]:
    """Random α of `n` individuals."""
    return [strategy.initial_alpha(std, np.random.default_rng(seed)) for seed in range(n)]


def make_tensors(strategy: Strategy, alphas: list[Alpha], dtype: torch.dtype = torch.float32) -> AlphaTensors:
    """α as tensors, with noise where the strategy draws some."""
    tensors = AlphaTensors.stack(alphas, strategy.space.n_primitives, CPU, dtype)
    if not strategy.draws_noise:
        return tensors
    streams = [torch.Generator().manual_seed(number) for number in range(len(alphas))]
    normal, reduce = (torch.stack([strategy.noise(stream) for stream in streams]).to(dtype) for _ in range(2))
    return tensors.with_noise(normal, reduce)


def make_problem(strategy: Strategy, *, channels: int = 4, dtype: torch.dtype = torch.float32) -> BilevelProblem:
    """One individual's problem."""
    torch.manual_seed(0)
    spec = strategy.supernet_spec(make_place())
    network = Supernet(spec, cells=3, channels=channels, n_classes=N_CLASSES, in_channels=1).to(dtype)
    buffers = {name: torch.zeros_like(weight) for name, weight in network.named_parameters()}
    dropout = SkipDropout(torch.tensor([strategy.skip_dropout(make_place(), 0)]), torch.tensor([7]))
    return BilevelProblem(
        supernet=network,
        strategy=strategy,
        alpha=make_tensors(strategy, make_alpha_of(strategy), dtype),
        moment=make_moment(),
        weight_step=WeightStep(torch.tensor([0.1], dtype=torch.float64), 0.9, 0.0, buffers),
        scales=LossScales([torch.amp.GradScaler("cpu", enabled=False)]),
        autocast=lambda: torch.autocast("cpu", enabled=False),
        dropout=dropout if strategy.drops_skips else None,
    )


def make_batch(seed: int, dtype: torch.dtype = torch.float32) -> Batch:
    """Six images of three classes."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(1, 6, 1, 8, 8, generator=generator, dtype=torch.float64).to(dtype)
    return Batch(images, torch.tensor([[0, 1, 2, 0, 1, 2]]))
