"""The supernet equals the plain reference, in float64, in everything that training sees."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from equivalence import copy_weights, parameter_pairs
from torch.utils._python_dispatch import TorchDispatchMode

from medarts_ops.bench.reference import ReferenceSupernet
from medarts_ops.networks import moments, separable
from medarts_ops.networks.device_kind import as_on_a_card
from medarts_ops.networks.frozen import frozen_statistics
from medarts_ops.networks.layout import SupernetSpec, cell_places
from medarts_ops.networks.skip_dropout import SkipDropout
from medarts_ops.networks.state_edges import read_together
from medarts_ops.networks.supernet import Supernet, stack_supernets
from medarts_ops.settings import MATRIX_SIDE, StemKind
from medarts_ops.space.search_space import OPERATIONS, SearchSpace


def thinned(space: SearchSpace, seed: int) -> SupernetSpec:
    """Random masks; one edge keeps nothing but `none`, one loses all but its skip."""
    rng = np.random.default_rng(seed)
    masks = rng.random((2, space.n_edges, space.n_primitives)) < 0.5
    masks[:, 3] = False
    masks[:, 3, 0] = True
    masks[:, 5] = np.arange(space.n_primitives) == space.primitives.index("skip_connect")
    return SupernetSpec(space, masks[0], masks[1])


SPACE, EVERY = SearchSpace(), SearchSpace(primitives=OPERATIONS)
SPECS = {
    "full": SupernetSpec.full(SPACE),
    "thinned": thinned(SPACE, 1),
    "thinned otherwise": thinned(SPACE, 2),
    "three nodes": SupernetSpec.full(SearchSpace(n_nodes=3)),
    "no convolutions": SupernetSpec.full(SearchSpace(primitives=("none", "max_pool_3x3", "skip_connect"))),
    "every operation": SupernetSpec.full(EVERY),
    "every operation thinned": thinned(EVERY, 3),
    "factored convolutions alone": SupernetSpec.full(SearchSpace(primitives=("conv_3x1_1x3", "conv_7x1_1x7"))),
    "half of the channels": replace(SupernetSpec.full(SPACE), channel_share=2),
    "half of the channels, every operation": replace(thinned(EVERY, 4), channel_share=2),
    "a quarter of the channels": replace(SupernetSpec.full(SPACE), channel_share=4),
    "a quarter of the channels, every operation": replace(thinned(EVERY, 5), channel_share=4),
    "photos": SupernetSpec.full(SPACE),
    "photos, half of the channels, every operation": replace(thinned(EVERY, 7), channel_share=2),
    "photos, odd channels": SupernetSpec.full(SPACE),
    "moments": SupernetSpec.full(SPACE),
    "moments, thinned": thinned(EVERY, 8),
    "moments, half of the channels": replace(thinned(SPACE, 2), channel_share=2),
    "card": SupernetSpec.full(SPACE),
    "card, half of the channels, every operation": replace(thinned(EVERY, 9), channel_share=2),
    "no matrices": SupernetSpec.full(SPACE),
    "matrices of larger maps": SupernetSpec.full(SPACE),
    "dropout": SupernetSpec.full(SPACE),
    "dropout, half of the channels, every operation": replace(thinned(EVERY, 6), channel_share=2),
}
MATRIX_SIDES = {"no matrices": 0, "matrices of larger maps": 16}
DROPOUT = SkipDropout(torch.tensor([0.4]).double(), torch.tensor([2**40 + 7]))


def in_a_stack_of_one(network: Supernet | ReferenceSupernet) -> Callable[..., torch.Tensor]:
    """Both kinds with the reference's arguments."""
    if isinstance(network, ReferenceSupernet):
        return network
    return lambda images, normal, reduce, dropout: network(images[None], normal[None], reduce[None], dropout)[0]


def mixture_of(alpha: torch.Tensor) -> torch.Tensor:
    """Rows that don't sum to 1, as where edges have weights of their own."""
    return alpha.softmax(-1) * (0.3 + alpha[..., -1:].sigmoid())


def stem_of(name: str) -> StemKind:
    return "imagenet" if name.startswith("photos") else "cifar"


def dropout_of(name: str) -> SkipDropout | None:
    return DROPOUT if name.startswith("dropout") else None


@contextmanager
def computed_as(name: str) -> Iterator[None]:
    """Inside, those that are named so are computed as on a card, or normed by moments, which are for larger ones."""
    with pytest.MonkeyPatch.context() as patch, as_on_a_card() if name.startswith("card") else nullcontext():
        if name.startswith("moments"):
            patch.setattr(moments, "pays", lambda *_: True)
        yield


@pytest.fixture(params=SPECS, scope="module")
def pair(request: pytest.FixtureRequest) -> tuple[Supernet, ReferenceSupernet, list[torch.Tensor]]:
    """Both supernets with the same weights after a training step of each, and what else the step was given."""
    torch.manual_seed(0)
    spec = SPECS[request.param]
    channels = 5 if "odd channels" in request.param else 4
    sizes = {"cells": 4, "channels": channels, "n_classes": 5, "in_channels": 3, "stem": stem_of(request.param)}
    supernet = Supernet(spec, **sizes, matrix_side=MATRIX_SIDES.get(request.param, MATRIX_SIDE)).double()
    reference = ReferenceSupernet(spec, **sizes).double()
    copy_weights(supernet, reference)
    alphas = [torch.randn(spec.space.n_edges, spec.space.n_primitives).double() for _ in range(2)]
    side = (41, 34) if stem_of(request.param) == "imagenet" else (9, 8)
    images, labels = torch.randn(6, 3, *side).double(), torch.tensor([0, 1, 2, 3, 4, 0])
    for network in (supernet, reference):
        mine = [alpha.clone().requires_grad_() for alpha in alphas]
        mixtures = [mixture_of(alpha) for alpha in mine]
        with computed_as(request.param):
            logits = in_a_stack_of_one(network)(images, *mixtures, dropout_of(request.param))
        F.cross_entropy(logits, labels).backward()
        network.seen = (logits.detach(), [alpha.grad for alpha in mine])
    return supernet, reference, alphas


def test_logits_and_alpha_gradients_equal_the_reference(pair):
    supernet, reference, _ = pair
    torch.testing.assert_close(supernet.seen[0], reference.seen[0], rtol=1e-10, atol=1e-12)
    for ours, theirs in zip(supernet.seen[1], reference.seen[1], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)


def test_weight_gradients_equal_the_reference(pair):
    supernet, reference, _ = pair
    pairs = list(parameter_pairs(supernet, reference, lambda module: module.weight.grad))
    biases = [each for name, each in supernet.named_parameters() if name.endswith(("shift", "bias"))]
    seen = sum(ours.numel() for ours, _ in pairs) + sum(each.numel() for each in biases)
    assert seen == sum(parameter.numel() for parameter in supernet.parameters())
    for ours, theirs in pairs:
        torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("statistic", ["running_mean", "running_var"])
def test_running_statistics_equal_the_reference(pair, statistic):
    supernet, reference, _ = pair
    for ours, theirs in parameter_pairs(supernet, reference, lambda module: getattr(module, statistic)):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


def test_eval_mode_equals_the_reference(pair):
    supernet, reference, alphas = pair
    images = torch.randn(3, 3, 33, 32).double()
    mixtures = [mixture_of(alpha) for alpha in alphas]
    with torch.no_grad():
        ours = in_a_stack_of_one(supernet.eval())(images, *mixtures, DROPOUT)  # nothing drops outside of training
        theirs = reference.eval()(images, *mixtures)
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "name",
    ["full", "photos", *(name for name in SPECS if "every operation" in name or name.startswith(("moments", "card")))],
)
def test_a_stack_computes_what_its_individuals_compute_alone(name):
    torch.manual_seed(0)
    sizes = {"cells": 3, "channels": 4, "n_classes": 5, "in_channels": 3, "stem": stem_of(name)}
    singles = [Supernet(SPECS[name], **sizes).double() for _ in range(3)]
    stack = stack_supernets(lambda n: Supernet(SPECS[name], individuals=n, **sizes).double(), singles)
    images = torch.randn(3, 4, 3, *((33, 34) if stem_of(name) == "imagenet" else (9, 8))).double()
    space = SPECS[name].space
    mixtures = [mixture_of(torch.randn(3, space.n_edges, space.n_primitives).double()) for _ in range(2)]
    probability, seeds = torch.tensor([0.2, 0.0, 0.7]).double(), torch.tensor([3, 4, -5])
    with computed_as(name):
        logits = stack(images, *mixtures, SkipDropout(probability, seeds))
    logits.square().sum().backward()
    for one, single in enumerate(singles):
        place = slice(one, one + 1)
        with computed_as(name):
            alone = single(
                images[place], *(each[place] for each in mixtures), SkipDropout(probability[place], seeds[place])
            )
        torch.testing.assert_close(logits[place], alone, rtol=1e-10, atol=1e-12)
        alone.square().sum().backward()
        for ours, theirs in zip(stack.parameters(), single.parameters(), strict=True):
            torch.testing.assert_close(ours.grad[place], theirs.grad, rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("name", ["full", "photos", *(name for name in SPECS if "every operation" in name)])
def test_the_state_of_some_of_a_stack_is_that_of_a_network_of_them_alone(name):
    torch.manual_seed(0)
    sizes = {"cells": 3, "channels": 4, "n_classes": 5, "in_channels": 3, "stem": stem_of(name)}
    stack, rest = (Supernet(SPECS[name], individuals=n, **sizes).double() for n in (3, 2))
    images = torch.randn(3, 4, 3, *((33, 34) if stem_of(name) == "imagenet" else (9, 8))).double()
    space, places = SPECS[name].space, [2, 0]
    mixtures = [mixture_of(torch.randn(3, space.n_edges, space.n_primitives).double()) for _ in range(2)]
    stack(images, *mixtures)  # moves running statistics
    rest.load_state_dict(stack.state_of(places))
    logits = stack.eval()(images, *mixtures)
    torch.testing.assert_close(
        rest.eval()(images[places], *(each[places] for each in mixtures)), logits[places], rtol=1e-10, atol=1e-12
    )


def test_an_operation_of_weight_0_is_as_good_as_masked():
    torch.manual_seed(0)
    column = EVERY.primitives.index("conv_3x1_1x3")
    masked = SupernetSpec.full(EVERY)
    masked = replace(masked, normal_mask=masked.normal_mask.copy())
    masked.normal_mask[:, column] = False
    sizes = {"cells": 3, "channels": 4, "n_classes": 5, "in_channels": 3}
    having, lacking = Supernet(SupernetSpec.full(EVERY), **sizes).double(), Supernet(masked, **sizes).double()
    weights = dict(having.named_parameters())
    for name, parameter in lacking.named_parameters():
        parameter.data.copy_(weights[name])
    mixtures = [torch.rand(1, EVERY.n_edges, EVERY.n_primitives).double() for _ in range(2)]
    mixtures[0][:, :, column] = 0
    images = torch.randn(1, 4, 3, 8, 8).double()
    logits = [network(images, *mixtures) for network in (having, lacking)]
    torch.testing.assert_close(*logits, rtol=1e-10, atol=1e-12)
    logits[0].square().sum().backward()
    of_operation = [weight for name, weight in weights.items() if name not in dict(lacking.named_parameters())]
    assert of_operation and all(weight.grad.abs().sum() == 0 for weight in of_operation)
    assert all(weight.grad.abs().sum() > 0 for name, weight in weights.items() if "factored.0" in name)


@pytest.mark.parametrize(("cells", "parameters"), [(4, 1_133_882), (6, 1_322_490), (8, 1_930_618)])
def test_supernet_has_the_published_number_of_parameters(cells, parameters):
    with torch.device("meta"):
        for kind in (Supernet, ReferenceSupernet):
            network = kind(SPECS["full"], cells=cells, channels=16, n_classes=10, in_channels=3)
            assert sum(p.numel() for p in network.parameters()) == parameters


def test_supernet_of_100_classes_has_the_published_number_of_parameters():
    with torch.device("meta"):
        network = Supernet(SPECS["full"], cells=8, channels=16, n_classes=100, in_channels=3)
    assert sum(p.numel() for p in network.parameters()) == 1_953_748


def test_grouped_weights_start_as_wide_as_single_ones():
    torch.manual_seed(0)
    sizes = {"cells": 3, "channels": 16, "n_classes": 10, "in_channels": 3}
    supernet, reference = (kind(SPECS["every operation"], **sizes) for kind in (Supernet, ReferenceSupernet))
    for ours, theirs in parameter_pairs(supernet, reference, lambda module: module.weight):
        if ours.numel() > 500:
            assert ours.std().item() == pytest.approx(theirs.std().item(), rel=0.15)


def test_frozen_statistics_stay_where_they_are():
    supernet = Supernet(SPECS["full"], cells=3, channels=2, n_classes=3, in_channels=1)
    before = {name: buffer.clone() for name, buffer in supernet.named_buffers()}
    mixture = torch.full((1, 14, 8), 1 / 8)
    with frozen_statistics(supernet):
        supernet(torch.randn(1, 2, 1, 8, 8), mixture, mixture)
    assert all(torch.equal(before[name], buffer) for name, buffer in supernet.named_buffers())
    supernet(torch.randn(1, 2, 1, 8, 8), mixture, mixture)
    assert not torch.equal(before["stem.norm.running_mean"], supernet.stem.norm.running_mean)


@pytest.mark.parametrize("in_channels", [1, 3])
def test_cells_for_photos_see_an_eighth_of_the_side_and_the_first_reads_two_scales(in_channels):
    sizes = {"cells": 3, "channels": 4, "n_classes": 4, "in_channels": in_channels, "stem": "imagenet"}
    supernet = Supernet(SPECS["full"], **sizes)
    quarter, eighth = supernet.stem(torch.randn(1, 2, in_channels, 66, 64))
    assert quarter.shape == (4, 2, 17, 16) and eighth.shape == (4, 2, 9, 8)
    first = supernet.cells[0]
    assert first.preprocess0(quarter).shape == first.preprocess1(eighth).shape == eighth.shape
    # By hand: 3×3 convolutions in→2, 2→4, 4→4, each with scale and shift; DARTS's search network has no other stem.
    assert sum(each.numel() for each in supernet.stem.parameters()) == in_channels * 18 + 72 + 144 + 2 * (2 + 4 + 4)


def test_both_inputs_are_read_together_where_their_edges_have_the_same_operations():
    normal, reduce, *_ = cell_places(4, 4, (4, 4))
    whole = SupernetSpec.full(SPACE)
    assert read_together(whole, normal) == read_together(whole, reduce) == [(0, 1), (2,), (3,), (4,)]
    mask = whole.normal_mask.copy()
    mask[0, 3] = False  # of the edge from the first input to the first node
    assert read_together(replace(whole, normal_mask=mask), normal) == [(0,), (1,), (2,), (3,), (4,)]
    assert read_together(replace(whole, normal_mask=mask), reduce) == [(0, 1), (2,), (3,), (4,)]


@pytest.mark.parametrize("side", [8, 28, 33])
@pytest.mark.parametrize("channels", [1, 3])
def test_odd_sizes_give_logits(side, channels):
    supernet = Supernet(SPECS["full"], cells=3, channels=3, n_classes=4, in_channels=channels)
    mixture = torch.full((1, 14, 8), 1 / 8)
    assert supernet(torch.randn(1, 2, channels, side, side), mixture, mixture).shape == (1, 2, 4)


@pytest.mark.parametrize("name", [name for name in SPECS if "every operation" in name])
def test_half_precision_stays_near_full_precision(name):
    torch.manual_seed(0)
    spec = SPECS[name]
    supernet = Supernet(spec, cells=3, channels=8, n_classes=4, in_channels=3)
    images = torch.randn(1, 8, 3, 17, 16)
    mixture = mixture_of(torch.randn(1, spec.space.n_edges, spec.space.n_primitives)).requires_grad_()
    logits = []
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            logits.append(supernet(images, mixture, mixture, dropout_of(name)).float())
    assert (logits[0] - logits[1]).abs().mean() < 0.1 * logits[0].abs().mean() and not torch.equal(*logits)
    logits[1].square().sum().backward()
    assert all(bool(torch.isfinite(each.grad).all()) for each in (mixture, *supernet.parameters()))


class Moves(TorchDispatchMode):
    """Notes what runs, and that it leaves no device."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, operation: Any, types: Any, arguments: Sequence[Any] = (), named: Any = None) -> Any:
        result = operation(*arguments, **(named or {}))
        self.seen.append(str(operation))
        given = {each.device.type for each in arguments if isinstance(each, torch.Tensor)}
        assert not given or not isinstance(result, torch.Tensor) or result.device.type in given, operation
        return result


@pytest.mark.parametrize("name", ["moments", "full"])
@pytest.mark.parametrize(("stack", "stem", "side"), [(1, "cifar", 9), (3, "cifar", 9), (3, "imagenet", 65)])
def test_a_pass_with_everything_stays_on_its_device_and_looks_at_no_value(stack, stem, side, name):
    spec = replace(SupernetSpec.full(SearchSpace(n_nodes=2, primitives=OPERATIONS)), channel_share=2)
    sizes = {"cells": 3, "channels": 4, "n_classes": 5, "in_channels": 3, "individuals": stack}
    supernet = Supernet(spec, **sizes, stem=stem).to("meta")
    images = torch.empty(stack, 2, 3, side, side, device="meta")
    mixture = torch.empty(stack, spec.space.n_edges, spec.space.n_primitives, device="meta", requires_grad=True)
    dropout = SkipDropout(torch.empty(stack, device="meta"), torch.empty(stack, dtype=torch.int64, device="meta"))
    with computed_as(name):
        supernet(images, mixture, mixture, dropout).sum().backward()  # makes tables and gradients
    runs = []
    for _ in range(2):
        with computed_as(name), Moves() as moves, torch.autograd.set_multithreading_enabled(False):
            supernet(images, mixture, mixture, dropout).sum().backward()
        runs.append(moves.seen)
    assert runs[0] == runs[1] and len(runs[0]) > 500
    separable._places.cache_clear()


def test_a_pass_in_inference_mode_leaves_nothing_that_training_could_not_use():
    supernet = Supernet(thinned(SPACE, 11), cells=3, channels=2, n_classes=3, in_channels=1)
    images, mixture = torch.randn(1, 2, 1, 12, 12), torch.rand(1, 14, 8)
    with torch.inference_mode():
        supernet.eval()(images, mixture, mixture)
    supernet.train()(images, mixture, mixture.clone().requires_grad_()).sum().backward()
