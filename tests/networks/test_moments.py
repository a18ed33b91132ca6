"""Norms by moments equal a convolution and the library's batch norm, in all that training sees."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from factories import make_search_runtime
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from medarts_ops.config import SearchConfig, StageConfig
from medarts_ops.data.dataset import ImageShape
from medarts_ops.networks import moments
from medarts_ops.networks.branches import SeparableBranches
from medarts_ops.networks.device_kind import as_on_a_card
from medarts_ops.networks.moments import Mixed, Receivers, runs_of
from medarts_ops.networks.operations import OPERATION_TABLE, Separable
from medarts_ops.networks.planes import PlaneNorm
from medarts_ops.resolving import resolve_config_alone
from medarts_ops.training import step_memory
from medarts_ops.training.step_memory import search_memory

CHANNELS, INDIVIDUALS, N_EDGES = 3, 2, 4
EDGES = ([0, 1, 2, 3], [0, 2, 3], [1])  # of three kinds
PLACES = [(edge, individual) for edges in EDGES for edge in edges for individual in range(INDIVIDUALS)]


def images_of(dtype: torch.dtype, offset: float = 0.0) -> list[Tensor]:
    """Each kind's, channels-last, of which a channel of each branch follows another one."""
    torch.manual_seed(0)
    found = []
    for edges in EDGES:
        images = torch.randn(2, len(edges) * INDIVIDUALS * CHANNELS, 5, 4, dtype=torch.float64) + offset
        images[:, ::CHANNELS] += 2 * images[:, 1::CHANNELS]
        found.append(images.to(dtype).contiguous(memory_format=torch.channels_last).requires_grad_())
    return found


def by_hand(images: list[Tensor], weight: Tensor, scale: Tensor, norm: PlaneNorm, first: int) -> Tensor:
    """Rows [branch · out channel, pixel], by the library; running statistics move."""
    planes = torch.cat([each.transpose(0, 1) for each in images]).unflatten(0, (len(weight), -1)).flatten(2)
    these = slice(first, first + scale.numel())
    means, variances = norm.running_mean[these], norm.running_var[these]
    rows = F.batch_norm((weight @ planes).view(1, scale.numel(), -1), means, variances, weight=scale, training=True)
    return rows[0]


@pytest.fixture
def leaves() -> list[Tensor]:
    torch.manual_seed(1)
    weight = torch.randn(len(PLACES), CHANNELS, CHANNELS, dtype=torch.float64, requires_grad=True)
    scale = torch.rand(len(PLACES) * CHANNELS, dtype=torch.float64, requires_grad=True)
    return [weight, scale, *images_of(torch.float64)]


def assert_same_gradients(ours: Tensor, theirs: Tensor, leaves: list[Tensor]) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)
    seed = torch.randn_like(theirs)
    found, expected = (torch.autograd.grad(each, leaves, seed, allow_unused=True) for each in (ours, theirs))
    for mine, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, wanted, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("momentum", [0.1, 0.0, None])
def test_planes_gradients_and_statistics_are_the_library_s(leaves: list[Tensor], momentum: float | None) -> None:
    weight, scale, *images = leaves
    ours, theirs = (PlaneNorm(len(scale) + 1).double() for _ in range(2))
    if momentum is None:  # as for passes at other weights: see `frozen_statistics`
        ours.track_running_stats = False
    else:
        ours.momentum = momentum
    normed = moments.normed(Mixed(images, weight, scale), ours)
    for given, each in zip(images, normed, strict=True):
        assert each.shape == given.shape and each.is_contiguous(memory_format=torch.channels_last)
    planes = torch.cat([each.transpose(0, 1) for each in normed])
    assert_same_gradients(planes.flatten(1), by_hand(images, weight, scale, theirs, 0), leaves)
    fresh = PlaneNorm(len(scale) + 1).double()
    moved = momentum == 0.1
    for name in ("running_mean", "running_var"):
        expected = getattr(theirs if moved else fresh, name)
        torch.testing.assert_close(getattr(ours, name), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("has_received", [False, True])
def test_what_edges_receive_is_the_sum_of_their_branches(leaves: list[Tensor], has_received: bool) -> None:
    weight, scale, *images = leaves
    ours, theirs = (PlaneNorm(2 + len(scale)).double() for _ in range(2))
    blocks = [edge for edges in EDGES for edge in edges]
    routing = (torch.arange(N_EDGES)[:, None] == torch.tensor(blocks)).double()
    receivers = Receivers(routing, [runs_of(edges, INDIVIDUALS) for edges in EDGES])
    received = torch.randn(N_EDGES, INDIVIDUALS * CHANNELS * 40, dtype=torch.float64) if has_received else None
    if received is not None:
        leaves.append(received.requires_grad_())
    summed = moments.plus_normed(received, Mixed(images, weight, scale), ours, receivers, first=2)
    finished = by_hand(images, weight, scale, theirs, 2).view(len(blocks), -1)
    expected = routing @ finished if received is None else received + routing @ finished
    assert_same_gradients(summed, expected, leaves)
    torch.testing.assert_close(ours.running_var, theirs.running_var, rtol=1e-10, atol=1e-12)


def test_runs_are_the_edges_that_follow_each_other() -> None:
    assert runs_of([0, 1, 2, 3], 2) == ((0, 0, 8),)
    assert runs_of([0, 2, 3], 2) == ((0, 0, 2), (2, 4, 4))
    assert runs_of([1, 3], 1) == ((0, 1, 1), (1, 3, 1)) and runs_of([], 3) == ()


@pytest.mark.parametrize("offset", [0.0, 30.0])
def test_single_precision_is_as_near_as_the_library_s_even_where_means_are_large(offset: float) -> None:
    torch.manual_seed(2)
    weight, scale = torch.randn(len(PLACES), CHANNELS, CHANNELS).double(), torch.ones(len(PLACES) * CHANNELS).double()
    exact = moments.normed(Mixed(images_of(torch.float64, offset), weight, scale), PlaneNorm(len(scale)).double())
    single = Mixed(images_of(torch.float32, offset), weight.float(), scale.float())
    rounded = moments.normed(single, PlaneNorm(len(scale)))
    for ours, theirs in zip(rounded, exact, strict=True):
        torch.testing.assert_close(ours.double(), theirs, rtol=1e-3, atol=1e-3 if offset else 1e-5)


def test_a_channel_that_never_changes_is_normed_to_nothing() -> None:
    images = torch.full((2, CHANNELS, 5, 4), 0.3).contiguous(memory_format=torch.channels_last).requires_grad_()
    mixed = Mixed([images], torch.randn(1, CHANNELS, CHANNELS), torch.ones(CHANNELS))
    (normed,) = moments.normed(mixed, PlaneNorm(CHANNELS))
    (gradient,) = torch.autograd.grad(normed.sum(), images)
    assert normed.abs().max() < 1e-2 and gradient.isfinite().all()


@pytest.mark.parametrize(
    ("height", "width", "channels", "dtype", "device", "does"),
    [
        (16, 16, 16, torch.float32, "cpu", True),
        (9, 8, 32, torch.float64, "cpu", True),
        (16, 16, 16, torch.float32, "meta", True),
        (8, 8, 16, torch.float32, "cpu", False),
        (16, 16, 8, torch.float32, "cpu", False),
        (16, 16, 64, torch.float32, "cpu", False),
        (16, 16, 16, torch.float16, "cpu", False),
        (16, 16, 16, torch.bfloat16, "cpu", False),
    ],
)
def test_it_pays_on_large_maps_of_few_channels_in_whole_precision_of_a_cpu(
    height: int, width: int, channels: int, dtype: torch.dtype, device: str, does: bool
) -> None:
    like = torch.empty(0, dtype=dtype, device=device)
    assert moments.pays(height, width, channels, like) is does
    with as_on_a_card():
        assert not moments.pays(height, width, channels, like)


def test_a_card_never_does() -> None:
    with FakeTensorMode():
        assert not moments.pays(16, 16, 16, torch.empty(0, device="cuda"))


def test_what_is_estimated_for_a_card_stores_the_convolutions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_memory, "_computing_in", lambda runtime: torch.float32)  # asks for the card
    config = resolve_config_alone(SearchConfig(), (16, 16))
    stage = StageConfig(name="only", cells=3, channels=16, batch=8, population=1)
    shape = ImageShape.square(16)
    cpu, card = (
        search_memory(config.model_copy(update={"runtime": make_search_runtime(device=device)}), stage, shape).per_image
        for device in ("cpu", "cuda:0")
    )
    assert 1.03 * cpu < card < 1.5 * cpu


@pytest.mark.parametrize(
    ("side", "stride", "matrix_side", "by_moments"),
    [(16, 1, 8, True), (16, 1, 16, False), (18, 2, 8, True), (18, 2, 9, False), (18, 2, 12, False)],
)
def test_what_is_convolved_by_matrices_is_not_normed_by_moments(
    monkeypatch: pytest.MonkeyPatch, side: int, stride: int, matrix_side: int, by_moments: bool
) -> None:
    """Of halves of stride 2 the second ones decide, too."""
    kind = OPERATION_TABLE["sep_conv_3x3"]
    assert isinstance(kind, Separable)
    branches = SeparableBranches(1, [(kind, [0])], 1, 16, stride, matrix_side)
    taken: list[int] = []
    original = SeparableBranches._by_moments
    monkeypatch.setattr(SeparableBranches, "_by_moments", lambda *given: taken.append(1) or original(*given))
    branches(torch.randn(16, 2, side, side), torch.ones(16), torch.ones(16), None)
    assert bool(taken) is by_moments
