"""The order of an epoch."""

from __future__ import annotations

import torch

from medarts_ops.data.batches import batch_order


def _order(n: int, batch: int, seed: int = 0) -> list[torch.Tensor]:
    return batch_order(n, batch, torch.Generator().manual_seed(seed))


def test_five_thousand_images_at_batch_64_are_79_iterations_and_the_last_is_partial() -> None:
    order = _order(5000, 64)
    assert len(order) == 79
    assert [len(batch) for batch in order[-2:]] == [64, 8]


def test_an_epoch_visits_each_image_once() -> None:
    assert torch.equal(torch.cat(_order(101, 10)).sort().values, torch.arange(101))


def test_a_last_batch_that_is_too_small_joins_the_one_before() -> None:
    generator = torch.Generator().manual_seed(0)
    assert [len(batch) for batch in batch_order(97, 48, generator, least=2)] == [48, 49]
    assert [len(batch) for batch in batch_order(98, 48, generator, least=2)] == [48, 48, 2]
    assert [len(batch) for batch in batch_order(1, 48, generator, least=2)] == [1]


def test_the_order_is_the_generators() -> None:
    assert torch.equal(torch.cat(_order(50, 7)), torch.cat(_order(50, 7)))
    assert not torch.equal(torch.cat(_order(50, 7)), torch.cat(_order(50, 7, seed=1)))


def test_successive_epochs_of_one_generator_differ() -> None:
    generator = torch.Generator().manual_seed(0)
    first, second = batch_order(50, 50, generator)[0], batch_order(50, 50, generator)[0]
    assert not torch.equal(first, second)
