"""How far normal cells agree on their operations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from factories import make_search_config_tiny

from medarts_ops.data.search_data import prepare_search_data
from medarts_ops.individual import EpochRecord
from medarts_ops.populations import random_individual
from medarts_ops.strategies.problem import mean_losses
from medarts_ops.tasks import TrainingTask
from medarts_ops.training import bilevel
from medarts_ops.training.alignment import SCALE, cell_gradients, layer_alignment
from medarts_ops.training.bilevel import SearchTraining
from medarts_ops.training.placed_images import StageTensors
from medarts_ops.training.runtime import Runtime

CONFIG = make_search_config_tiny()
RUNTIME = Runtime.from_config(CONFIG.runtime)
TENSORS = StageTensors.place(prepare_search_data(CONFIG).stages[0], RUNTIME)


def training(cells: int = 5, n: int = 2) -> SearchTraining:
    stage = CONFIG.stages[0].model_copy(update={"cells": cells})
    group = tuple(random_individual(CONFIG, number) for number in range(n))
    return SearchTraining(TrainingTask(individuals=group, stage=stage, config=CONFIG, stage_data=""), TENSORS, RUNTIME)


def test_the_cells_gradients_sum_to_that_of_the_mixture_that_they_share() -> None:
    one = training()
    found = cell_gradients(one)
    assert len(found) == 3
    batch = TENSORS.placed.plain(torch.from_numpy(TENSORS.data.alpha_indices)[: one.task.stage.batch])
    normal, reduce = (mixture.detach().requires_grad_() for mixture in one.reading_mixtures())
    one.supernet.train()
    logits = one.supernet.of_shared(batch.images, normal, reduce)
    losses = mean_losses(logits, batch.labels.expand(logits.shape[:2]))
    (shared,) = torch.autograd.grad(SCALE * losses.sum(), normal)
    assert torch.allclose(sum(found), shared.flatten(1), atol=1e-3 * float(shared.abs().max()))


def test_it_is_the_mean_cosine_over_pairs_of_cells_for_each_individual() -> None:
    one = training()
    gradients = [each.double().numpy() for each in cell_gradients(one)]
    for number, found in enumerate(layer_alignment(one).tolist()):
        unit = [each[number] / np.linalg.norm(each[number]) for each in gradients]
        pairs = [float(unit[i] @ unit[j]) for i in range(3) for j in range(i)]
        assert found == pytest.approx(np.mean(pairs), abs=1e-5) and -1 <= found <= 1


def test_one_normal_cell_has_nothing_to_agree_with() -> None:
    assert bool(layer_alignment(training(cells=3)).isnan().all())


def test_measuring_it_changes_nothing_of_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def history(one: SearchTraining) -> list[EpochRecord]:
        for epoch in range(2):
            one.run_epoch(epoch)
        clocks = {"seconds": 0.0, "images_per_second": 0.0}
        return [record.model_copy(update=clocks) for member in one.members for record in member.history]

    measured = history(training())
    assert all(record.layer_alignment is not None for record in measured)
    monkeypatch.setattr(bilevel, "layer_alignment", lambda one: torch.full((len(one.members),), torch.nan))
    plain = history(training())
    assert plain == [record.model_copy(update={"layer_alignment": None}) for record in measured]
