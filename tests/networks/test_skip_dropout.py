"""Skip dropout draws uniform numbers that depend on the seed, the cell, the state and the element alone."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
import torch

from medarts_ops.networks.layout import SupernetSpec
from medarts_ops.networks.skip_dropout import SkipDropout, stream_keys, uniform_numbers
from medarts_ops.networks.supernet import Supernet
from medarts_ops.space.search_space import SearchSpace

N = 2**16
SEEDS = (0, 1, 2, 2**31, 2**32, 2**40 + 1, 2**63 - 1, -1)


def drawn(seed: int, cell: int = 0, state: int = 0, n: int = N) -> torch.Tensor:
    return numbers_of((seed,), cell, state, n)[0].double()


def numbers_of(seeds: Sequence[int], cell: int, state: int, n: int) -> torch.Tensor:
    return uniform_numbers(stream_keys(torch.tensor(seeds), cell + 1, state + 1)[cell, state], n)


def is_uniform(numbers: torch.Tensor) -> bool:
    """Mean within 4.5 of its deviations, chi-square of 256 bins within 4.5 of its own."""
    counts = torch.histc(numbers, 256, 0, 1)
    expected = len(numbers) / 256
    chi_square = ((counts - expected) ** 2 / expected).sum()
    return bool((numbers.mean() - 0.5).abs() < 4.5 * (12 * len(numbers)) ** -0.5) and bool(
        (chi_square - 255).abs() < 4.5 * (2 * 255) ** 0.5
    )


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("cell", "state"), [(0, 0), (0, 1), (1, 0), (19, 17)])
def test_numbers_are_uniform(seed, cell, state):
    numbers = drawn(seed, cell, state)
    assert is_uniform(numbers) and numbers.min() >= 0 and numbers.max() < 1


def test_one_element_of_many_seeds_is_uniform():
    assert is_uniform(numbers_of(range(N), 3, 2, 1)[:, 0].double())


def test_the_detector_detects():
    assert not is_uniform(drawn(0) ** 1.05) and not is_uniform((torch.arange(N) % 200 + 0.5).double() / 200)


def test_streams_of_other_seeds_cells_and_states_are_independent():
    streams = [drawn(seed) for seed in SEEDS] + [drawn(0, 0, 1), drawn(0, 1, 0), drawn(0, 17, 1)]
    for one, other in itertools.combinations(streams, 2):
        assert torch.corrcoef(torch.stack([one, other]))[0, 1].abs() < 4.5 * N**-0.5
        assert (one == other).sum() < 10


@pytest.mark.parametrize("distance", [1, 2, 16, 256])
def test_neighbouring_elements_are_independent(distance):
    numbers = drawn(5)
    pair = torch.stack([numbers[:-distance], numbers[distance:]])
    assert torch.corrcoef(pair)[0, 1].abs() < 4.5 * N**-0.5


def test_an_element_has_its_number_in_every_stack():
    stack = numbers_of(SEEDS, 2, 3, 50)
    assert torch.equal(stack, torch.stack([drawn(seed, 2, 3, 50) for seed in SEEDS]).float())


def test_the_numbers_are_the_same_for_ever():
    assert (drawn(1, 2, 3, 4) * 2**24).tolist() == [5853735, 4842466, 12752760, 15780737]


def test_dropped_elements_are_0_and_the_others_make_up_for_them():
    probability = torch.tensor([0.25, 0.0])
    dropout = SkipDropout(probability, torch.tensor([1, 2])).of_network(1, 2)
    factors = dropout.factors(0, 1, torch.empty(2 * 8, 4, 32, 32))
    first, second = factors.view(2, -1)
    assert set(first.unique().tolist()) == {0.0, torch.tensor(1 / 0.75).item()} and bool((second == 1).all())
    assert first.mean().item() == pytest.approx(1, abs=0.02)


def logits(dropout: SkipDropout | None, train: bool = True) -> torch.Tensor:
    torch.manual_seed(0)
    space = SearchSpace(primitives=("none", "skip_connect"))
    supernet = Supernet(SupernetSpec.full(space), cells=3, channels=4, n_classes=3, in_channels=1).train(train)
    mixture = torch.rand(1, space.n_edges, 2)
    return supernet(torch.randn(1, 4, 1, 8, 8), mixture, mixture, dropout)


def with_probability(probability: float, seed: int = 1) -> SkipDropout:
    return SkipDropout(torch.tensor([probability]), torch.tensor([seed]))


def test_probability_0_changes_no_bit():
    assert torch.equal(logits(with_probability(0.0)), logits(None))


def test_seeds_repeat_and_differ():
    one, again, other = (logits(with_probability(0.5, seed)) for seed in (1, 1, 2))
    assert torch.equal(one, again) and not torch.equal(one, other) and not torch.equal(one, logits(None))


def test_nothing_is_dropped_outside_of_training():
    assert torch.equal(logits(with_probability(0.5), train=False), logits(None, train=False))
