"""What a trained supernet is worth with its genotype's own paths alone."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
import torch.nn.functional as F
from equivalence import copy_weights
from factories import make_failed, make_genotype, make_search_config_tiny, make_trained
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from medarts_ops.bench.reference import ReferenceSupernet
from medarts_ops.config import ResolvedSearchConfig
from medarts_ops.data.search_data import prepare_search_data
from medarts_ops.individual import Individual, TrainedIndividual
from medarts_ops.networks.layout import SupernetSpec
from medarts_ops.populations import random_individual
from medarts_ops.space.discretize import one_hot
from medarts_ops.space.genotype import Genotype
from medarts_ops.tasks import TrainingTask
from medarts_ops.training import placed_images
from medarts_ops.training.bilevel import SearchTraining
from medarts_ops.training.carry_out import carry_out
from medarts_ops.training.discretized import _statistics_batches, measure_discretized
from medarts_ops.training.placed_images import StageTensors
from medarts_ops.training.runtime import Runtime
from medarts_ops.training.workplace import Workplace

CONFIG = make_search_config_tiny()
GROUP = tuple(random_individual(CONFIG, number) for number in range(3))
GENOTYPES = [make_genotype(name, nodes=2) for name in ("sep_conv_3x3", "skip_connect", "max_pool_3x3")]


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches so small that statistics come from two of them."""
    monkeypatch.setattr(placed_images, "LEAST_MEASURED", 16)


def training_of(individuals: Sequence[Individual], config: ResolvedSearchConfig = CONFIG) -> SearchTraining:
    runtime = Runtime.from_config(config.runtime)
    tensors = StageTensors.place(prepare_search_data(config).stages[0], runtime)
    task = TrainingTask(individuals=tuple(individuals), stage=config.stages[0], config=config, stage_data="unused")
    return SearchTraining(task, tensors, runtime)


def measured(training: SearchTraining, genotypes: Sequence[Genotype]) -> list[TrainedIndividual]:
    names = [member.individual for member in training.members]
    outcomes = [make_trained(who, genotype=genotype) for who, genotype in zip(names, genotypes, strict=True)]
    found = measure_discretized(training, outcomes)
    assert all(isinstance(one, TrainedIndividual) for one in found)
    return found  # type: ignore[return-value]


class Fixed(nn.Module):
    """The plain supernet at fixed mixtures, as torch's own `update_bn` wants a network."""

    def __init__(self, plain: ReferenceSupernet, genotype: Genotype) -> None:
        super().__init__()
        self.plain = plain
        self.mixtures = [torch.from_numpy(each).float() for each in one_hot(CONFIG.space.search_space(), genotype)]

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.plain(images, *self.mixtures)
        return logits


@pytest.mark.parametrize("genotype", GENOTYPES, ids=lambda genotype: genotype.normal[0][0])
def test_it_is_the_plain_supernets_at_one_hot_mixtures_after_torchs_own_update_of_statistics(genotype):
    training, stage = training_of(GROUP[:1]), CONFIG.stages[0]
    torch.manual_seed(3)
    spec = SupernetSpec.full(CONFIG.space.search_space())
    plain = ReferenceSupernet(spec, cells=stage.cells, channels=stage.channels, n_classes=10, in_channels=1)
    copy_weights(training.supernet, plain)
    network, placed, data = Fixed(plain, genotype), training.tensors.placed, training.tensors.data
    batches = list(_statistics_batches(training))
    assert [len(batch) for batch in batches] == [20, 20]  # the stage's own batch, since that is larger than 16
    assert set(torch.cat(batches).tolist()) == set(data.weight_indices.tolist())
    update_bn([placed.plain(batch).images for batch in batches], network)
    valid = placed.plain(torch.from_numpy(data.valid_indices))
    with torch.no_grad():
        logits = network.eval()(valid.images)
    (found,) = measured(training, [genotype])
    assert found.discretized_accuracy == pytest.approx((logits.argmax(1) == valid.labels).float().mean().item())
    assert found.discretized_loss == pytest.approx(F.cross_entropy(logits, valid.labels).item(), rel=1e-4)


def test_a_stack_is_measured_as_its_members_alone():
    together = measured(training_of(GROUP), GENOTYPES)
    alone = [measured(training_of([who]), [genotype])[0] for who, genotype in zip(GROUP, GENOTYPES, strict=True)]
    assert len({one.discretized_loss for one in together}) == 3
    for ours, theirs in zip(together, alone, strict=True):
        assert ours.discretized_accuracy == theirs.discretized_accuracy
        assert ours.discretized_loss == pytest.approx(theirs.discretized_loss, rel=1e-4)


def test_the_training_is_left_as_it_was():
    training = training_of(GROUP[:2])
    training.run_epoch(0)
    held = {name: value.clone() for name, value in training.supernet.state_dict().items()}
    measured(training, GENOTYPES[:2])
    assert all(torch.equal(value, held[name]) for name, value in training.supernet.state_dict().items())
    norms = [module for module in training.supernet.modules() if isinstance(module, nn.BatchNorm2d)]
    assert {norm.momentum for norm in norms} == {0.1}


def test_who_failed_is_passed_by_and_seconds_are_shared_among_the_others():
    training, failed = training_of(GROUP), make_failed(1)
    outcomes = [make_trained(GROUP[0], genotype=GENOTYPES[0]), failed, make_trained(GROUP[2], genotype=GENOTYPES[2])]
    first, second, third = measure_discretized(training, outcomes)
    assert second is failed
    assert first.seconds == third.seconds > outcomes[0].seconds
    assert third.discretized_loss is not None
    assert measure_discretized(training, [failed] * 3) == [failed] * 3


def test_a_loss_that_is_not_finite_is_left_out():
    training = training_of(GROUP[:1])
    with torch.no_grad():
        training.supernet.classifier.bias.fill_(float("inf"))
    (found,) = measured(training, GENOTYPES[:1])
    assert found.discretized_loss is None and found.discretized_accuracy is not None


def test_a_finished_checkpoint_gives_the_same_number_again(tmp_path):
    runtime = Runtime.from_config(CONFIG.runtime)
    tensors = StageTensors.place(prepare_search_data(CONFIG).stages[0], runtime)
    task = TrainingTask(
        individuals=GROUP[:2],
        stage=CONFIG.stages[0],
        config=CONFIG,
        stage_data="unused",
        checkpoint=str(tmp_path / "group.pt"),
    )
    first, again = (
        list(carry_out(task, Workplace(runtime, tensors, "unused"), lambda who, record: None)) for _ in range(2)
    )
    for ours, theirs in zip(first, again, strict=True):
        assert ours.alpha == theirs.alpha and ours.history == theirs.history  # nothing was trained again
        assert ours.discretized_accuracy == theirs.discretized_accuracy
        assert ours.discretized_loss == theirs.discretized_loss is not None
