"""The derived network: a genotype stacked to full size, with auxiliary head and drop path (DARTS's NetworkCIFAR).

Behind the stem `imagenet` it is DARTS's NetworkImageNet, for larger pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial, reduce
from itertools import islice, pairwise
from types import MappingProxyType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from medarts_ops.networks.ends import STEMS, AuxiliaryHead, least_batch, pooled
from medarts_ops.networks.frozen import unmoved_statistics
from medarts_ops.networks.layout import CellPlace, cell_places
from medarts_ops.networks.operations import FactorizedReduce, ReluConvNorm, ReluFirst, build_operation
from medarts_ops.networks.paths_together import paths_together
from medarts_ops.networks.side_by_side import Group, Joint, SideBySide
from medarts_ops.settings import StemKind
from medarts_ops.space.genotype import EDGES_PER_NODE, CellKind, Genotype
from medarts_ops.space.search_space import N_INPUTS


def path_factors(draws: Tensor, keep: Tensor | float, dtype: torch.dtype) -> Tensor:
    """What drop path multiplies images by: 1/keep with a probability of `keep` in (0, 1], else 0 (DARTS).

    `draws [path, image]` are uniform in [0, 1). Where all is kept all factors are exactly 1.
    """
    kept = (draws < keep).to(torch.promote_types(dtype, torch.float32))
    return (kept / keep).to(dtype)


class DerivedCell(nn.Module):
    """A cell of a genotype: every node sums two operations. All that read a state share its ReLU (ours)."""

    def __init__(self, genotype: Genotype, place: CellPlace) -> None:
        super().__init__()
        kind: CellKind = "reduce" if place.reduction else "normal"
        preprocess = FactorizedReduce if place.previous_reduction else ReluConvNorm
        self.preprocess0: FactorizedReduce | ReluConvNorm = preprocess(
            place.before_previous_channels, place.channels, affine=True
        )
        self.preprocess1 = ReluConvNorm(place.previous_channels, place.channels, affine=True)
        self.concat = genotype.concat(kind)
        self.sources = [source for _, source in genotype.edges(kind)]
        self.read = _states_read(self.sources, self.concat)
        self.reads_all = len(self.read) == N_INPUTS + genotype.n_nodes(kind)
        self.operations = nn.ModuleList(
            build_operation(name, place.channels, 2 if place.reduction and source < N_INPUTS else 1, affine=True)
            for name, source in genotype.edges(kind)
        )
        self.together = paths_together(genotype.edges(kind), list(self.operations)) if self.reads_all else []

    @property
    def n_paths(self) -> int:
        """How many operations drop path may drop: all but identities (DARTS)."""
        return sum(not isinstance(operation, nn.Identity) for operation in self.operations)

    def forward(
        self,
        first: Tensor,
        second: Tensor,
        factors: Sequence[Tensor] = (),
        joints: Mapping[Group, Joint] = MappingProxyType({}),
    ) -> Tensor:
        """Both inputs' states, behind `preprocess0` and `preprocess1` → [image, concat · channel, height, width].

        Of `factors`, each [image, 1, 1, 1], each operation but identities takes the next, which drops its images or
        scales them; none drops none. Operations of `together` run as one where `joints` has their groups.
        """
        left = iter(factors)
        states = [first, second]
        activated: dict[int, Tensor] = {}
        found: dict[int, Tensor] = {}
        beside = {each.positions[0]: each for each in self.together if each.groups[0] in joints}
        for start in range(0, len(self.operations), EDGES_PER_NODE):
            whole, dropped = [], []
            for position in range(start, start + EDGES_PER_NODE):
                if position in beside:
                    found |= zip(beside[position].positions, beside[position](states, joints), strict=True)
                term = found[position] if position in found else self._term(position, states, activated)
                if factors and not isinstance(self.operations[position], nn.Identity):
                    dropped.append((term, next(left).to(term.dtype)))
                else:
                    whole.append(term)
            states.append(_sum_of(whole, dropped))
        return torch.cat([states[state] for state in self.concat], dim=1)

    def _term(self, position: int, states: list[Tensor], activated: dict[int, Tensor]) -> Tensor:
        """What an operation makes of its state; `activated` gathers the states' ReLUs as they are needed."""
        operation, source = self.operations[position], self.sources[position]
        if isinstance(operation, ReluFirst | FactorizedReduce):
            if source not in activated:
                activated[source] = F.relu(states[source])
            return operation.after_relu(activated[source])
        term: Tensor = operation(states[source])
        return term


def _states_read(sources: Sequence[int], concat: Sequence[int]) -> frozenset[int]:
    """The states of a cell that its output depends on, by the `sources` of its operations, two a node."""
    read = set(concat)
    for node in reversed(range(len(sources) // EDGES_PER_NODE)):
        if N_INPUTS + node in read:
            read |= set(sources[EDGES_PER_NODE * node : EDGES_PER_NODE * (node + 1)])
    return frozenset(read)


def _sum_of(whole: list[Tensor], dropped: list[tuple[Tensor, Tensor]]) -> Tensor:
    """The sum of terms, and of others times their factors in the call that adds them (ours); none in place (DARTS)."""
    terms = [*whole, *([] if whole else [torch.mul(*dropped.pop(0))])]
    return reduce(lambda node, each: _PlusTimes.apply(node, *each), dropped, reduce(torch.add, terms))


class _PlusTimes(torch.autograd.Function):
    """A node plus a term times its factor, which wants no gradient: the library's takes another call for the term's."""

    @staticmethod
    def forward(context: Any, node: Tensor, term: Tensor, factor: Tensor) -> Tensor:
        context.save_for_backward(factor)
        return torch.addcmul(node, term, factor)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        (factor,) = context.saved_tensors
        return gradients[0], gradients[0] * factor, None


class DerivedNetwork(nn.Module):
    """Stem, cells of a genotype, classifier, and an auxiliary head after cell 2 · cells // 3 if asked for.

    Where `checkpoint_cells` is set to True, a training step keeps what is between cells, and computes what is inside
    them again for the backward pass: the same numbers in less memory. Where `paths_together` is, it computes a cell's
    paths of one kind as one (`paths_together.py`).

    `least_batch` is the number of images that a training step needs, `n_paths` that of the paths which drop path may
    drop, `reads_all` whether each weight has a part in the loss: a published genotype may leave an input, or a node,
    unread.
    """

    def __init__(
        self,
        genotype: Genotype,
        *,
        cells: int,
        channels: int,
        n_classes: int,
        in_channels: int,
        auxiliary: bool,
        stem: StemKind = "cifar",
    ) -> None:
        super().__init__()
        self.checkpoint_cells = self.paths_together = False
        self.stem = STEMS[stem](in_channels, channels)
        outputs = (len(genotype.normal_concat), len(genotype.reduce_concat))
        places = list(cell_places(cells, channels, outputs, stem))
        made = [DerivedCell(genotype, place) for place in places]
        self.cells = nn.ModuleList(made)
        widths = [place.channels * outputs[place.reduction] for place in places]
        self.auxiliary_after = 2 * cells // 3 if auxiliary else None
        if self.auxiliary_after is not None:
            self.auxiliary_head = AuxiliaryHead(widths[self.auxiliary_after], n_classes, stem)
        self.reads_all = all(place.reads_all for place in made)
        self._paths_by_cell = [cell.n_paths for cell in made]
        self.n_paths = sum(self._paths_by_cell)
        self.least_batch = least_batch(auxiliary=auxiliary, stem=stem)
        self.classifier = nn.Linear(widths[-1], n_classes)
        self._pairs = _pairs_of_one_input(made)

    def forward(self, images: Tensor, paths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Logits [image, class] of `images` by the classifier and, while training, by the auxiliary head.

        `paths [path, image]` of `path_factors` drop paths; none are dropped without.
        """
        left = iter(() if paths is None else paths[:, :, None, None, None].unbind())
        auxiliary: Tensor | None = None
        beside = self._beside()
        joints = {} if beside is None else beside.joints
        before_previous, previous = self.stem(images)
        active = torch.relu_(before_previous)
        first = self._at(0).preprocess0.after_relu(active)
        active = active if previous is before_previous else torch.relu_(previous)
        last = len(self.cells) - 1
        for index, n_paths in enumerate(self._paths_by_cell):
            own = tuple(islice(left, n_paths))
            output, first = self._computed(index)(first, active, own, joints)
            # The two cells that follow begin with a ReLU of it, the head too: all but the classifier share one.
            active = output if index == last else torch.relu_(output)
            if index == self.auxiliary_after and self.training:
                auxiliary = self.auxiliary_head(active)
        if beside is not None:
            beside.give_back()
        return self.classifier(pooled(active)), auxiliary

    def _beside(self) -> SideBySide | None:
        """What runs as one in this pass: nothing, where it isn't one in training, but is exported or measured."""
        if not (self.training and torch.is_grad_enabled()):
            return None
        groups = [*self._pairs.values()]
        if self.paths_together:
            together = (paths for index in range(len(self.cells)) for paths in self._at(index).together)
            groups += (group for paths in together for group in paths.groups)
        averaged = any(norm.momentum is None for group in groups[:1] for norm in group.norms)
        return None if averaged or not groups else SideBySide(groups)

    def _cell(
        self, index: int, first: Tensor, previous: Tensor, factors: Sequence[Tensor], joints: Mapping[Group, Joint]
    ) -> tuple[Tensor, Tensor]:
        """A cell's output and the following one's first state, from its own and the `previous` output after ReLU.

        Both cells begin with a 1×1 convolution of that and a norm: with one, where those are among the `joints` (ours).
        """
        cell = self._at(index)
        pair = self._pairs.get(index)
        if pair is not None and (joint := joints.get(pair)) is not None:
            both = joint.normed(F.conv2d(previous, joint.weight.view(-1, previous.shape[1], 1, 1)))
            n = cell.preprocess1.out_channels
            second, coming = both.split([n, both.shape[1] - n], dim=1)
        else:
            second = cell.preprocess1.after_relu(previous)
            is_last = index == len(self.cells) - 1
            coming = second if is_last else self._at(index + 1).preprocess0.after_relu(previous)
        output: Tensor = cell(first, second, factors, joints)
        return output, coming

    def _at(self, index: int) -> DerivedCell:
        cell = self.cells[index]
        assert isinstance(cell, DerivedCell)
        return cell

    def _computed(self, index: int) -> Callable[..., tuple[Tensor, Tensor]]:
        if not (self.checkpoint_cells and self.training):
            return partial(self._cell, index)
        return partial(
            checkpoint,
            partial(self._cell, index),
            use_reentrant=False,
            preserve_rng_state=False,  # a cell draws nothing
            context_fn=lambda: _once_and_again(self.cells[index : index + 2]),
        )


def _pairs_of_one_input(cells: Sequence[DerivedCell]) -> dict[int, Group]:
    """By the number of a cell: its second preprocessing and the first one of the cell that follows, if they are alike.

    Both read the same. One whose output nothing reads has no gradient and must have none.
    """
    pairs = {}
    for index, (cell, following) in enumerate(pairwise(cells)):
        coming = following.preprocess0
        if isinstance(coming, ReluConvNorm) and 1 in cell.read and 0 in following.read:
            (convolution, norm), (other, other_norm) = cell.preprocess1.parts(), coming.parts()
            pairs[index] = Group((convolution, other), (norm, other_norm))
    return pairs


def _once_and_again(cell: nn.Module) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """Around a cell's forward pass, and around the same pass again, which moves no statistics a second time."""
    return nullcontext(), unmoved_statistics(cell)
