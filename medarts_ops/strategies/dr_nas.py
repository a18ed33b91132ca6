"""DrNAS (Chen et al. 2021): an edge's mixture is drawn from a Dirichlet distribution, whose concentration learns."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from medarts_ops.settings import setting
from medarts_ops.space.search_space import SearchSpace
from medarts_ops.strategies.darts import Darts, DartsSettings
from medarts_ops.strategies.strategy import Strategy

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from medarts_ops.strategies.alpha_tensors import AlphaTensors, CellTensors
    from medarts_ops.strategies.problem import Moment

SHIFT = 8
"""By how much a concentration is raised before a Gamma number is drawn of it, and brought back exactly."""

LEAST_CONCENTRATION = 1e-3
"""Below this a draw has no finite logarithm in float32."""


class DrNasSettings(DartsSettings):
    """DrNAS (Chen et al., 2021), without its progressive form."""

    kl: float = setting(
        0.0, "ours", "weight of KL(Dirichlet(c) ‖ Dirichlet(1)) in α's loss (DrNAS: 0.001, or none)", ge=0
    )

    def build(self, space: SearchSpace) -> Strategy:
        return DrNas(space, self)


@dataclass(frozen=True)
class DrNas(Darts):
    """Rows θ ~ Dirichlet(c) with c = elu(α) + 1, in both steps; read as its mean c / Σ c.

    A row is Gamma numbers over their sum. Each is drawn as a function of α and of noise that does not depend on α, so
    that the gradient goes through the draw (the publication's goes through torch's own, by an implicit derivative of
    the same distribution).
    """

    settings: DrNasSettings = DrNasSettings()

    draws_noise = True

    def noise(self, generator: torch.Generator) -> Tensor:
        """[edge, op, 1 + SHIFT]: a normal number, then logarithms of uniform ones."""
        import torch

        from medarts_ops.strategies.draws import SMALLEST_UNIFORM

        shape = (self.space.n_edges, self.space.n_primitives)
        normal = torch.randn(*shape, 1, generator=generator)
        uniform = torch.rand(*shape, SHIFT, generator=generator).clamp_min(SMALLEST_UNIFORM)
        return torch.cat([normal, uniform.log()], dim=-1)

    def mixture(self, cell: CellTensors, moment: Moment) -> Tensor:
        """A draw, or in a reading the mean; masked operations are left out, and a row's sum is 1."""
        from medarts_ops.strategies.alpha_tensors import each_alone, masked_softmax

        logits = cell.arrays["op_logits"]
        if moment.phase == "reading" or cell.noise is None:
            return masked_softmax(each_alone(lambda each: _concentration(each).log(), logits), cell.mask)
        return masked_softmax(each_alone(_log_gamma_draw, logits, cell.noise), cell.mask)

    def penalty(self, alpha: AlphaTensors, moment: Moment) -> Tensor | None:
        """KL(Dirichlet(c) ‖ Dirichlet(1)), summed over all edges, times its weight; over all operations of a row."""
        if not self.settings.kl:
            return None
        from medarts_ops.strategies.alpha_tensors import each_alone

        normal, reduce = (each_alone(_divergence, cell.arrays["op_logits"]) for cell in alpha.cells)
        return self.settings.kl * (normal + reduce)


def _concentration(logits: Tensor) -> Tensor:
    import torch.nn.functional as F

    return (F.elu(logits) + 1).clamp_min(LEAST_CONCENTRATION)


def _log_gamma_draw(logits: Tensor, noise: Tensor) -> Tensor:
    """The logarithm of a Gamma(c) number for each α [individual, edge, op], as a function of c = elu(α) + 1.

    Gamma(c) = Gamma(c + n) · Π U_i^{1 / (c + i)} exactly, for uniform U_i and i = 0 … n - 1; and Gamma(a) is
    d (1 + z / √(9 d))³ with d = a - 1/3 for a normal z, which Marsaglia and Tsang (2000) reject with a probability
    below 0.001 from a = 8 on, and which is always taken here (ours).
    """
    import torch

    concentration = _concentration(logits)
    normal, uniform = noise[..., 0], noise[..., 1:]
    shape = concentration + SHIFT - 1 / 3
    cubed = (1 + normal / torch.sqrt(9 * shape)).clamp_min(LEAST_CONCENTRATION)
    steps = torch.arange(SHIFT, device=concentration.device, dtype=concentration.dtype)
    return shape.log() + 3 * cubed.log() + (uniform / (concentration[..., None] + steps)).sum(dim=-1)


def _divergence(logits: Tensor) -> Tensor:
    """KL(Dirichlet(c) ‖ Dirichlet(1)) [individual], summed over the edges of `logits [individual, edge, op]`."""
    import torch

    concentration = _concentration(logits)
    total = concentration.sum(dim=-1)
    whole = torch.lgamma(total) - math.lgamma(concentration.shape[-1])
    parts = (concentration - 1) * (torch.digamma(concentration) - torch.digamma(total)[..., None])
    return (whole + (parts - torch.lgamma(concentration)).sum(dim=-1)).sum(dim=1)
