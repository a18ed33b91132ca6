"""Skip dropout (P-DARTS, section 3.3): elements after the identities are dropped, alike on all devices and in stacks.

A drawn number is a hash of the individual's seed and of where the element is, not the next of a stream. So a step waits
for nothing, and one that was captured draws anew when its seeds change.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_BITS = 2**32 - 1
_SPICE = 0x1E3779B9  # any number but 0, which the hash leaves 0


@dataclass(frozen=True)
class SkipDropout:
    """How one pass in training drops elements after `skip_connect` at stride 1.

    One draw for each state and cell, shared by the edges that leave the state (ours; P-DARTS draws for each edge).
    `probability [individual]` is in [0, 1), 0 changes nothing; equal `seeds` (int64 [individual]) drop equal elements,
    so that a step needs new ones.
    """

    probability: Tensor
    seeds: Tensor

    @torch.no_grad()
    def of_network(self, cells: int, states: int) -> SkipFactors:
        """What it comes to in a network of so many cells, each with so many states that edges leave."""
        return SkipFactors(self.probability, 1 / (1 - self.probability), stream_keys(self.seeds, cells, states))


@dataclass(frozen=True)
class SkipFactors:
    """The skip dropout of a network: elements are kept with a chance of 1 - `dropped`, and then times `scale`.

    Both are [individual], `keys` as `stream_keys` gives them: made for all states of all cells at once, since
    to start a kernel for so few numbers takes longer than the numbers do.
    """

    dropped: Tensor
    scale: Tensor
    keys: Tensor

    @torch.no_grad()
    def factors(self, cell: int, state: int, planes: Tensor) -> Tensor:
        """0 or 1 / (1 - probability) for each element of a state's `planes`, rows [individual, channel].

        They count within an individual's [channel, image, height, width], as far as operations see the state.
        """
        numbers = uniform_numbers(self.keys[cell, state], planes.numel() // len(self.dropped))
        return ((numbers >= self.dropped[:, None]) * self.scale[:, None]).view(planes.shape)


def stream_keys(seeds: Tensor, cells: int, states: int) -> Tensor:
    """Two keys of 32 bits for each stream of numbers, int64 [cell, state, key, individual]."""
    low, high = seeds & _BITS, seeds >> 32 & _BITS
    key = _hash(_hash(low ^ _SPICE) ^ high)
    for n in (cells, states):
        key = _hash(key[..., None, :] ^ torch.arange(n, device=seeds.device)[:, None])
    return torch.stack([key, _hash(key ^ low ^ _SPICE)], dim=-2)


def uniform_numbers(keys: Tensor, n: int) -> Tensor:
    """Numbers of `n` elements, [individual, element]: uniform in [0, 1), multiples of 2⁻²⁴.

    The first of a stream's `keys [key, individual]` is mixed with an element's index before the hash, the second in its
    middle, so that streams whose first keys are near share no numbers.
    """
    index = torch.arange(n, device=keys.device)
    first, second = keys[:, :, None]
    return (_hash(index ^ first, second) >> 8) * 2.0**-24


def _hash(bits: Tensor, key: Tensor | int = 0) -> Tensor:
    """Mix 32 bits (constants of C. Wellons's hash-prospector), in int64, where no product overflows."""
    bits = (bits ^ bits >> 16) * 0x21F0AAAD & _BITS ^ key
    bits = (bits ^ bits >> 15) * 0x735A2D97 & _BITS
    return bits ^ bits >> 15
