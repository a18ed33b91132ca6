"""Derived networks: published sizes, and every published cell trains."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F

from medarts_ops.errors import ConfigError
from medarts_ops.networks.counting import count_macs, count_parameters
from medarts_ops.networks.derived import DerivedNetwork, path_factors
from medarts_ops.networks.frozen import norms_of
from medarts_ops.space.genotype import Genotype
from medarts_ops.space.zoo import zoo

FULL = {"cells": 20, "channels": 36, "in_channels": 3}
PHOTOS = {"cells": 14, "channels": 48, "in_channels": 3, "n_classes": 10, "stem": "imagenet"}
CONCAT = (2, 3, 4, 5)


def one_operation(name: str) -> Genotype:
    pairs = tuple((name, source) for node in range(4) for source in (0, 1))
    return Genotype(normal=pairs, normal_concat=CONCAT, reduce=pairs, reduce_concat=CONCAT)


@pytest.mark.parametrize("name", sorted(zoo()))
def test_published_genotypes_have_their_published_parameters(name):
    entry = zoo()[name]
    assert count_parameters(entry.genotype, n_classes=10, **FULL) == entry.params_c10_C36_L20
    assert count_parameters(entry.genotype, n_classes=100, **FULL) == entry.params_c100_C36_L20
    with_head = count_parameters(entry.genotype, n_classes=10, auxiliary=True, **FULL)
    assert with_head - entry.params_c10_C36_L20 == entry.aux_head_c10


@pytest.mark.parametrize("name", sorted(zoo()))
def test_the_network_for_imagenet_has_the_parameters_that_darts_own_code_counts(name):
    entry, full = zoo()[name], PHOTOS | {"n_classes": 1000}
    plain, with_head = (count_parameters(entry.genotype, **full, auxiliary=head) for head in (False, True))
    assert (plain, with_head - plain) == (entry.params_imagenet_C48_L14, entry.aux_head_imagenet)


def test_photos_of_224_pixels_reach_the_cells_at_28_and_the_classifier_at_7():
    seen = []
    with torch.device("meta"):
        network = DerivedNetwork(zoo()["DARTS_V2"].genotype, **PHOTOS, auxiliary=True).train()
        for cell in network.cells:
            cell.register_forward_hook(lambda _, inputs, output: seen.append((inputs[1].shape[2], output.shape[2])))
        logits, side = network(torch.empty(1, 3, 224, 224))
    assert [sides[0] for sides in seen] == [28] * 5 + [14] * 5 + [7] * 4
    assert seen[-1][1] == 7 and logits.shape == side.shape == (1, 10)


def test_the_first_cell_for_photos_reads_both_scales_of_the_stem():
    torch.manual_seed(0)
    network = DerivedNetwork(
        zoo()["DARTS_V2"].genotype, **PHOTOS | {"cells": 3, "channels": 4}, auxiliary=False
    ).double()
    images = torch.randn(2, 3, 64, 48, dtype=torch.float64, requires_grad=True)
    quarter, eighth = network.stem(images)
    assert quarter.shape == (2, 4, 16, 12) and eighth.shape == (2, 4, 8, 6)
    # As DARTS writes it: stem0, then stem1 on its ReLU.
    conv, norm, relu, second, second_norm = network.stem.quarter
    by_hand = second_norm(second(relu(norm(conv(images)))))
    torch.testing.assert_close(quarter, by_hand)
    torch.testing.assert_close(eighth, network.stem.eighth(torch.relu(by_hand)))
    network(images)[0].sum().backward()
    assert images.grad is not None and all(p.grad is not None for p in network.parameters())


@pytest.mark.parametrize(("name", "parameters"), [("max_pool_3x3", 1_370_134), ("sep_conv_5x5", 5_144_086)])
def test_the_bounds_of_the_space_have_their_exact_parameters(name, parameters):
    assert count_parameters(one_operation(name), n_classes=10, **FULL) == parameters


@pytest.mark.parametrize("name", sorted(zoo()))
@pytest.mark.parametrize("auxiliary", [False, True])
def test_published_genotypes_back_propagate_with_drop_path(name, auxiliary):
    torch.manual_seed(0)
    network = DerivedNetwork(zoo()[name].genotype, cells=3, channels=4, n_classes=3, in_channels=3, auxiliary=auxiliary)
    paths = path_factors(torch.rand(network.n_paths, 4), 0.7, torch.float32)
    logits, side = network(torch.randn(4, 3, 9, 9), paths)
    assert (side is not None) == auxiliary
    loss = F.cross_entropy(logits, torch.tensor([0, 1, 2, 0]))
    if side is not None:
        loss = loss + 0.4 * F.cross_entropy(side, torch.tensor([0, 1, 2, 0]))
    loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)
    assert network.stem[0].weight.grad.abs().sum() > 0


@pytest.mark.parametrize("side", [8, 28, 33])
def test_odd_resolutions_train_with_the_auxiliary_head(side):
    network = DerivedNetwork(
        one_operation("skip_connect"), cells=5, channels=3, n_classes=100, in_channels=1, auxiliary=True
    )
    logits, auxiliary = network(torch.randn(2, 1, side, side))
    assert logits.shape == auxiliary.shape == (2, 100)


@pytest.mark.parametrize("keep", [0.75, torch.tensor(0.75)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_drop_path_keeps_the_mean(keep, dtype):
    factors = path_factors(torch.rand(2, 4000, generator=torch.Generator().manual_seed(0)), keep, dtype)
    assert factors.dtype == dtype and factors.double().mean().item() == pytest.approx(1.0, abs=0.03)
    assert set(factors.flatten().tolist()) == {0.0, torch.tensor(4 / 3, dtype=dtype).item()}


def test_where_nothing_is_dropped_images_keep_their_bits():
    assert torch.equal(path_factors(torch.zeros(3, 5), torch.ones(()), torch.float32), torch.ones(3, 5))


def gradients_of(
    network: DerivedNetwork, images: torch.Tensor, paths: torch.Tensor | None
) -> list[torch.Tensor | None]:
    for _ in range(2):  # running statistics of the second pass follow those of the first
        logits, side = network(images, paths)
        (logits.sin().sum() + side.sin().sum()).backward()
    return [weight.grad for weight in network.parameters()]


@pytest.mark.parametrize("name", sorted(zoo()))
@pytest.mark.parametrize("drops", [False, True])
def test_paths_that_run_together_come_to_what_each_comes_to_by_itself(name, drops):
    torch.manual_seed(0)
    sizes = {"cells": 5, "channels": 4, "n_classes": 3, "in_channels": 3, "auxiliary": True}
    apart = DerivedNetwork(zoo()[name].genotype, **sizes).double().to(memory_format=torch.channels_last)
    together = copy.deepcopy(apart)
    together.paths_together = True
    images = torch.randn(4, 3, 12, 9, dtype=torch.float64).contiguous(memory_format=torch.channels_last)
    paths = path_factors(torch.rand(apart.n_paths, 4), 0.7, torch.float64) if drops else None
    found = [gradients_of(network, images, paths) for network in (apart, together)]
    for one, other in zip(*found, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-9)
    for one, other in zip(apart.buffers(), together.buffers(), strict=True):
        torch.testing.assert_close(one, other)


def test_what_no_output_depends_on_gets_no_gradient_though_others_of_its_kind_run_together():
    # Node 2 and the first input are read by each other alone: nothing of theirs reaches the loss.
    normal = (("sep_conv_3x3", 0), ("sep_conv_3x3", 0), ("sep_conv_3x3", 1), ("sep_conv_3x3", 1))
    genotype = Genotype(normal=normal, normal_concat=(3,), reduce=normal, reduce_concat=(3,))
    network = DerivedNetwork(genotype, cells=4, channels=4, n_classes=3, in_channels=3, auxiliary=True).double()
    network.paths_together = True
    gradients_of(network, torch.randn(4, 3, 8, 8, dtype=torch.float64), None)
    cell = network.cells[0]
    assert not network.reads_all and cell.read == {1, 3}
    without = [cell.preprocess0, cell.operations[0], cell.operations[1]]
    assert all(weight.grad is None for module in without for weight in module.parameters())
    assert all(weight.grad is not None for weight in cell.operations[2].parameters())


@pytest.mark.parametrize("together", [False, True])
def test_norms_that_average_over_all_batches_do_so_in_training_with_gradients_too(together):
    sizes = {"cells": 3, "channels": 4, "n_classes": 3, "in_channels": 3, "auxiliary": False}
    network = DerivedNetwork(zoo()["DARTS_V2"].genotype, **sizes)
    network.paths_together = together
    for norm in norms_of(network):
        norm.momentum = None
    for _ in range(3):
        network(torch.randn(4, 3, 8, 8))
    assert {int(norm.num_batches_tracked) for norm in norms_of(network)} == {3}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_paths_run_together_in_mixed_precision(dtype):
    torch.manual_seed(0)
    sizes = {"cells": 3, "channels": 4, "n_classes": 3, "in_channels": 3, "auxiliary": True}
    network = DerivedNetwork(zoo()["DARTS_V2"].genotype, **sizes).to(memory_format=torch.channels_last)
    images, found = torch.randn(4, 3, 8, 8).contiguous(memory_format=torch.channels_last), []
    for together in (False, True):
        network.paths_together = together
        with torch.autocast("cpu", dtype=dtype):
            logits, side = network(images)
            loss = logits.float().square().mean() + side.float().square().mean()
        found.append(torch.autograd.grad(loss, network.stem[0].weight)[0])
    assert torch.nn.functional.cosine_similarity(*(each.flatten() for each in found), dim=0) > 0.99


def test_an_identity_is_never_dropped():
    network = DerivedNetwork(
        one_operation("skip_connect"), cells=3, channels=2, n_classes=2, in_channels=1, auxiliary=False
    )
    images = torch.randn(8, 1, 8, 8)
    before, previous = network.stem(images)
    cell = network.cells[0]
    assert cell.n_paths == 0
    torch.testing.assert_close(cell(before, previous, (torch.zeros(8, 1, 1, 1),)), cell(before, previous))


@pytest.mark.parametrize("name", ["DARTS_V2", "AmoebaNet"])
@pytest.mark.parametrize("drops", [False, True])
def test_cells_that_are_computed_again_come_to_the_same_bits(name, drops):
    torch.manual_seed(0)
    sizes = {"cells": 5, "channels": 4, "n_classes": 3, "in_channels": 3, "auxiliary": True}
    networks = [DerivedNetwork(zoo()[name].genotype, **sizes) for _ in range(2)]
    networks[1].checkpoint_cells = True
    networks[1].load_state_dict(networks[0].state_dict())
    images, draws = torch.randn(4, 3, 10, 10), torch.rand(networks[0].n_paths, 4)
    paths = path_factors(draws, 0.7, torch.float32) if drops else None
    for network in networks:
        for _ in range(2):
            logits, side = network(images, paths)
            (logits.square().sum() + side.square().sum()).backward()
    plain, again = networks
    for (name, one), other in zip(plain.named_parameters(), again.parameters(), strict=True):
        assert (one.grad is None and other.grad is None) or torch.equal(one.grad, other.grad), name
    assert all(torch.equal(one, other) for one, other in zip(plain.buffers(), again.buffers(), strict=True))
    assert torch.equal(plain.eval()(images)[0], again.eval()(images)[0])


def test_fewer_than_three_cells_are_refused():
    with pytest.raises(ConfigError, match="3 or more"):
        count_parameters(one_operation("max_pool_3x3"), cells=2, channels=4, n_classes=10, in_channels=3)


def test_macs_agree_with_a_hand_count():
    genotype = one_operation("max_pool_3x3")
    sizes = {"cells": 3, "channels": 1, "n_classes": 2, "in_channels": 1}
    # stem 3·9 at 64 pixels; three cells' 1×1 preprocessing; classifier 16·2.
    cell0 = 64 * (3 * 1 + 3 * 1)
    cell1 = 64 * (3 * 2 + 4 * 2)
    cell2 = 16 * (4 * 4 + 8 * 4)
    expected = 64 * 27 + cell0 + cell1 + cell2 + 16 * 2
    assert count_macs(genotype, resolution=(8, 8), **sizes) == expected
