"""One training by several processes: parts of the batches of one, and the gradient of the whole."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from two_ranks import BOTH_INPUTS, ONE_INPUT, order_alone, train, training_of, weights_after_a_step

from medarts_ops.config import ConfigError
from medarts_ops.training.ranks import ALONE, Ranks
from medarts_ops.training.runtime import Runtime
from medarts_ops.training.supervised import check_network
from medarts_ops.training.time_limit import TimeLimit
from medarts_ops.training.weight_steps import accumulated


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two ranks came to."""
    folder: Path = tmp_path_factory.mktemp("ranks")
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    torch.multiprocessing.spawn(train, (folder,), nprocs=2)
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@pytest.mark.parametrize("of", [1, 2, 3, 7])
def test_parts_are_the_whole_in_its_order_and_differ_by_one_at_most(of):
    for n in (7, 8, 20):
        parts = [range(n)[Ranks(rank, of).part(n)] for rank in range(of)]
        assert [at for part in parts for at in part] == list(range(n))
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_part_of_a_batch_is_drawn_as_in_the_whole():
    training = training_of(BOTH_INPUTS, ALONE)
    indices = torch.arange(9) * 7
    made = [
        training._train.augmented(indices, training._augmentation, torch.Generator().manual_seed(3), own)
        for own in (slice(None), Ranks(0, 2).part(9), Ranks(1, 2).part(9))
    ]
    assert torch.equal(made[0].images, torch.cat([made[1].images, made[2].images]))
    assert torch.equal(made[0].labels, torch.cat([made[1].labels, made[2].labels]))


def test_shares_of_all_ranks_come_to_those_of_one_in_their_mean():
    counts = torch.rand(18, generator=torch.Generator().manual_seed(0))
    batches = torch.arange(18).split(5)
    alone = [part.share for part in accumulated(batches, 3, counts)]
    ranked = [[part.share for part in accumulated(batches, 3, counts, Ranks(rank, 2))] for rank in range(2)]
    assert [sum(shares) / 2 for shares in zip(*ranked, strict=True)] == pytest.approx(alone)


@pytest.mark.parametrize("genotype", [BOTH_INPUTS, ONE_INPUT], ids=["all weights in the loss", "some without a part"])
def test_a_step_of_two_ranks_is_that_of_one_where_no_norm_sees_the_batch(two, genotype):
    alone = weights_after_a_step(genotype, ALONE)
    for rank in two:
        ours = rank["steps"][[BOTH_INPUTS, ONE_INPUT].index(genotype)]
        assert ours.keys() == alone.keys()
        assert all(torch.allclose(ours[name], alone[name], rtol=1e-6, atol=1e-8) for name in alone)


def test_both_ranks_end_with_the_same_bits_statistics_too(two):
    first, second = (rank["network"] for rank in two)
    assert first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
    assert two[0]["records"] == two[1]["records"]


def test_ranks_visit_images_in_the_order_of_one(two):
    assert all(torch.equal(rank["order"], order_alone()) for rank in two)


def test_a_test_set_that_is_measured_in_parts_comes_to_that_of_the_whole(two):
    loss, right = two[0]["measured"]
    assert two[0]["records"][-1]["test_loss"] == pytest.approx(loss, rel=1e-5)
    assert two[0]["records"][-1]["test_error"] == pytest.approx(1 - right)


def test_alone_nothing_of_torchs_distributed_package_is_begun():
    training = training_of(BOTH_INPUTS, ALONE)
    training.run_epoch(0)
    assert training._joined is training.network
    assert not torch.distributed.is_initialized()


def test_a_genotype_that_leaves_an_input_unread_is_known():
    assert training_of(BOTH_INPUTS, ALONE).network.reads_all
    assert not training_of(ONE_INPUT, ALONE).network.reads_all


def test_the_auxiliary_heads_norm_takes_its_images_on_each_device():
    config = training_of(BOTH_INPUTS, ALONE)._config.model_copy(update={"batch": 4})
    check_network(config, (8, 8), devices=2)
    with pytest.raises(ConfigError, match="takes 8 images a step on 4 devices or more"):
        check_network(config, (8, 8), devices=4)


def test_the_clock_of_the_first_rank_ends_a_training_of_several(monkeypatch):
    asked: list[bool] = []
    monkeypatch.setattr(Ranks, "agreed", lambda ranks, first: bool(asked.append(first)))
    limit = TimeLimit(100.0, Ranks(1, 2))
    assert limit.allows(0) and not limit.allows(1)
    assert asked == [True]


def test_a_runtime_is_alone_unless_it_is_told():
    config = training_of(BOTH_INPUTS, ALONE)._config.runtime
    assert Runtime.from_config(config).ranks == ALONE
    assert Runtime.from_config(config, Ranks(1, 2)).ranks == Ranks(1, 2)
