"""One training on several devices, a process for each: which part of a batch is whose, and what all have in common."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Ranks:
    """This process is `rank`, from 0, of the `of` that train one network; by default it is alone.

    Alone, all of this leaves everything as it is, and torch's distributed package is not begun. Else every process
    has to call each method that gathers something, in the same order.
    """

    rank: int = 0
    of: int = 1

    def part(self, n: int) -> slice:
        """This process's part of `n` images: all parts are of one size, or of two that differ by one."""
        return slice(n * self.rank // self.of, n * (self.rank + 1) // self.of)

    def joined(self, network: nn.Module, *, reads_all: bool) -> nn.Module:
        """The network as training calls it: its backward pass leaves the mean of all processes' gradients.

        `reads_all` says that each weight has a part in the loss; else each pass looks for those that have none. Norms
        see their own process's images, as is usual for DARTS's networks, and no buffer is shared.
        """
        if self.of == 1:
            return network
        # Of a kernel with one channel, which is the same in both memory layouts.
        warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
        joined = nn.parallel.DistributedDataParallel(
            network, find_unused_parameters=not reads_all, gradient_as_bucket_view=True
        )
        joined.broadcast_buffers = False  # as an argument it is called otherwise from torch 2.14 on
        return joined

    def exchange(self, network: nn.Module, *, now: bool) -> AbstractContextManager[None]:
        """The context of both passes through a `joined` network: gradients are exchanged `now`, or gather here."""
        if now or not isinstance(network, nn.parallel.DistributedDataParallel):
            return nullcontext()
        paused: AbstractContextManager[None] = network.no_sync()
        return paused

    def share_buffers(self, network: nn.Module) -> None:
        """Give every process the first one's running statistics."""
        if self.of > 1:
            for buffer in network.buffers():
                torch.distributed.broadcast(buffer, src=0)

    def agreed(self, first: bool) -> bool:
        """What the first process says."""
        said = [first]
        if self.of > 1:
            torch.distributed.broadcast_object_list(said, src=0)
        return said[0]

    def total(self, sums: Tensor) -> Tensor:
        """The sum of what all processes have, in the same bits for each."""
        if self.of > 1:
            torch.distributed.all_reduce(sums)
        return sums


ALONE = Ranks()


@contextmanager
def process_group(ranks: Ranks, device: torch.device, meeting: Path) -> Iterator[None]:
    """Inside, this process is one of `ranks.of` that found each other by the file `meeting`, which is new.

    A card talks by NCCL, a CPU by Gloo. Left by an error, nothing is taken down: the others still wait for this one.
    """
    if device.index is not None:
        torch.accelerator.set_device_index(device.index)  # where NCCL and what exchanges gradients look for the card
    torch.distributed.init_process_group(
        torch.distributed.get_default_backend_for_device(device),
        init_method=f"file://{meeting}",
        rank=ranks.rank,
        world_size=ranks.of,
    )
    yield
    torch.distributed.destroy_process_group()
