"""Reading by worth: what the loss of a trained supernet is without each part of its cells."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from equivalence import copy_weights
from factories import make_search_config_tiny
from torch import Tensor, nn

from medarts_ops.bench.reference import ReferenceSupernet
from medarts_ops.config import ReadingConfig
from medarts_ops.data.search_data import prepare_search_data
from medarts_ops.individual import Individual, TrainedIndividual
from medarts_ops.networks.layout import SupernetSpec
from medarts_ops.populations import random_individual
from medarts_ops.space.discretize import discretize
from medarts_ops.tasks import TrainingTask
from medarts_ops.training.bilevel import SearchTraining
from medarts_ops.training.carry_out import carry_out
from medarts_ops.training.perturbation import read_by_perturbation
from medarts_ops.training.placed_images import StageTensors
from medarts_ops.training.runtime import Runtime
from medarts_ops.training.workplace import Workplace
from medarts_ops.worth import weights_by_worth

MIXTURE = make_search_config_tiny()
CONFIG = MIXTURE.model_copy(update={"reading": ReadingConfig(name="perturbation", images=30)})
SPACE = CONFIG.space.search_space()
STAGE = CONFIG.stages[0]
RUNTIME = Runtime.from_config(CONFIG.runtime)
TENSORS = StageTensors.place(prepare_search_data(CONFIG).stages[0], RUNTIME)
GROUP = tuple(random_individual(CONFIG, number) for number in range(2))
SEP = SPACE.primitives.index("sep_conv_3x3")


def task_of(individuals: Sequence[Individual] = GROUP, checkpoint: Path | None = None) -> TrainingTask:
    file = None if checkpoint is None else str(checkpoint)
    return TrainingTask(
        individuals=tuple(individuals), stage=STAGE, config=CONFIG, stage_data="unused", checkpoint=file
    )


def trained(task: TrainingTask) -> list[TrainedIndividual]:
    found = list(carry_out(task, Workplace(RUNTIME, TENSORS, "unused"), lambda who, record: None))
    assert all(isinstance(one, TrainedIndividual) for one in found)
    return found  # type: ignore[return-value]


def read(training: SearchTraining) -> list[TrainedIndividual]:
    return read_by_perturbation(training, list(training.outcomes()))  # type: ignore[return-value]


@pytest.fixture(scope="module")
def both() -> list[TrainedIndividual]:
    return trained(task_of())


def test_a_search_of_either_reading_trains_the_same_bits(both: list[TrainedIndividual]) -> None:
    plain = trained(task_of().model_copy(update={"config": MIXTURE}))
    for worthy, usual in zip(both, plain, strict=True):
        assert worthy.alpha == usual.alpha and worthy.mixture_genotype == usual.genotype
        assert worthy.valid_accuracy == usual.valid_accuracy
        assert worthy.genotype == discretize(SPACE, *weights_by_worth(worthy.worth))
        assert usual.worth is None and usual.mixture_genotype is None


def test_a_resumed_training_reads_the_same_bits(both: list[TrainedIndividual], tmp_path: Path) -> None:
    task = task_of(checkpoint=tmp_path / "group.pt")
    for again in (trained(task), trained(task)):  # the second one from a finished checkpoint
        for ours, theirs in zip(again, both, strict=True):
            assert ours.worth.model_dump_json() == theirs.worth.model_dump_json()
            assert ours.genotype == theirs.genotype


def test_worth_is_the_plain_supernets_rise_of_loss_at_batch_statistics() -> None:
    training = SearchTraining(task_of(GROUP[:1]), TENSORS, RUNTIME)
    torch.manual_seed(5)
    plain = ReferenceSupernet(
        SupernetSpec.full(SPACE), cells=STAGE.cells, channels=STAGE.channels, n_classes=10, in_channels=1
    )
    copy_weights(training.supernet, plain)
    training.members[0].history = trained(task_of(GROUP[:1]))[0].history  # type: ignore[assignment]
    held = {name: value.clone() for name, value in training.supernet.state_dict().items()}
    (found,) = read(training)
    assert all(torch.equal(value, held[name]) for name, value in training.supernet.state_dict().items())
    mixtures = [mixture[0] for mixture in training.reading_mixtures()]
    order = np.random.default_rng(np.random.SeedSequence(CONFIG.seed, spawn_key=(0, 0, 14)))
    drawn = torch.from_numpy(order.permutation(TENSORS.data.valid_indices)[:30])
    batch = TENSORS.placed.plain(drawn)

    def loss(kind: int, *part: int) -> float:
        changed = [mixture.clone() for mixture in mixtures]
        if part:
            changed[kind][part] = 0
        with torch.no_grad():
            return F.cross_entropy(plain.train()(batch.images, *changed), batch.labels).item()

    for kind, cell in enumerate((found.worth.normal, found.worth.reduce)):
        for edge in range(SPACE.n_edges):
            assert cell.edges[edge] == pytest.approx(loss(kind, edge) - loss(kind), abs=2e-4)
            rises = [loss(kind, edge, operation) - loss(kind) for operation in range(1, SPACE.n_primitives)]
            assert cell.operations[edge, 1:] == pytest.approx(rises, abs=2e-4)
        assert cell.measured.tolist() == [[False, True, True, True]] * SPACE.n_edges
        assert np.abs(cell.operations).max() > 1e-3


class Planted(nn.Module):
    """A network that knows the classes by one operation of one edge of normal cells, and nothing by all others."""

    def __init__(self, edge: int, individuals: int) -> None:
        super().__init__()
        self.edge, self.individuals = edge, individuals
        labels = TENSORS.placed.labels
        every = TENSORS.placed.plain(torch.arange(len(labels))).images
        self.known = {image.sum().item(): int(label) for image, label in zip(every, labels, strict=True)}

    def of_shared(self, images: Tensor, normal: Tensor, reduce: Tensor) -> Tensor:
        labels = torch.tensor([self.known[image.sum().item()] for image in images])
        informative = F.one_hot(labels, 10).float()
        return 50 * normal[:, self.edge, SEP, None, None] * informative + 0 * reduce.sum()


def test_the_one_informative_operation_is_chosen_though_its_weight_is_the_lowest(both: list[TrainedIndividual]) -> None:
    training, edge = SearchTraining(task_of(), TENSORS, RUNTIME), SPACE.edges.index((2, 3))
    with torch.no_grad():
        for array in training.alpha.leaves():
            array[:, :, SEP] = -2.0  # the lowest weight of each row
            array[:, edge] -= 1e-3
    for member, one in zip(training.members, both, strict=True):
        member.history = list(one.history)
    training.supernet = Planted(edge, 2)  # type: ignore[assignment]
    for one in read(training):
        worth, pairs = one.worth.normal, one.genotype.normal
        assert worth.operations.argmax() == edge * SPACE.n_primitives + SEP
        assert worth.operations[edge, SEP] > 0.1 and np.count_nonzero(worth.operations) == 1
        assert ("sep_conv_3x3", 2) in pairs[2:] and ("sep_conv_3x3", 2) not in one.mixture_genotype.normal[2:]


def test_masked_operations_are_not_measured_nor_chosen(both: list[TrainedIndividual]) -> None:
    mask = np.ones((SPACE.n_edges, SPACE.n_primitives), bool)
    mask[:, SEP] = False
    masked = GROUP[0].model_copy(
        update={
            "alpha": GROUP[0].alpha.model_copy(
                update={
                    name: getattr(GROUP[0].alpha, name).model_copy(update={"mask": mask})
                    for name in ("normal", "reduce")
                }
            )
        }
    )
    first, second = trained(task_of([masked, GROUP[1]]))
    for cell in (first.worth.normal, first.worth.reduce):
        assert not cell.measured[:, SEP].any() and not cell.operations[:, SEP].any()
    assert not {"sep_conv_3x3", "none"} & {name for name, _ in (*first.genotype.normal, *first.genotype.reduce)}
    assert second.worth.normal.measured[:, SEP].all()  # each member of a stack its own


def test_a_stack_reads_as_its_members_alone(both: list[TrainedIndividual]) -> None:
    for together, who in zip(both, GROUP, strict=True):
        (alone,) = trained(task_of([who]))
        np.testing.assert_allclose(together.worth.normal.operations, alone.worth.normal.operations, atol=2e-3)
        np.testing.assert_allclose(together.worth.reduce.edges, alone.worth.reduce.edges, atol=2e-3)
