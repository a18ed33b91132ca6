"""What two processes that train one network come to, in a module that a spawned process can import."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from factories import make_evaluate_config_tiny, make_genotype

from medarts_ops.config import AuxiliaryConfig, ResolvedEvaluateConfig
from medarts_ops.data.registry import load_dataset
from medarts_ops.space.genotype import Genotype
from medarts_ops.training.ranks import ALONE, Ranks, process_group
from medarts_ops.training.runtime import Runtime
from medarts_ops.training.supervised import SupervisedTraining
from medarts_ops.training.weight_steps import accumulated

BOTH_INPUTS = make_genotype("sep_conv_3x3", nodes=2)
ONE_INPUT = Genotype(
    normal=(("sep_conv_3x3", 1), ("skip_connect", 1)),
    normal_concat=(2,),
    reduce=(("max_pool_3x3", 1), ("skip_connect", 1)),
    reduce_concat=(2,),
)
"""It leaves the weights of the other input without a part in the loss."""


def config() -> ResolvedEvaluateConfig:
    """Images of weighed classes, whose last batch two processes can't halve, in steps of two batches."""
    more: dict[str, Any] = {"images": 120, "batch": 32, "accumulate": 2, "class_weights": "balanced", "epochs": 2}
    return make_evaluate_config_tiny().model_copy(update=more | {"auxiliary": AuxiliaryConfig(weight=0.4)})


def training_of(genotype: Genotype, ranks: Ranks) -> SupervisedTraining:
    made = config()
    return SupervisedTraining(genotype, made, load_dataset(made.dataset), Runtime.from_config(made.runtime, ranks))


def weights_after_a_step(genotype: Genotype, ranks: Ranks) -> dict[str, torch.Tensor]:
    """Those of a step of two batches, the second of 27 images; norms are in eval mode, and no path is dropped."""
    training = training_of(genotype, ranks)
    training.network.train()
    for module in training.network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    batches = torch.arange(59).split(32)
    for indices, own, share, is_last in accumulated(batches, 2, training._counts, ranks):
        batch = training._train.augmented(indices, training._augmentation, training._augment_stream, own)
        training.step(batch, share=share, is_last=is_last)
    return {name: weight.detach().clone() for name, weight in training.network.named_parameters()}


def train(rank: int, folder: Path) -> None:
    """Save what this rank of two comes to."""
    torch.set_num_threads(1)
    ranks = Ranks(rank, 2)
    with process_group(ranks, torch.device("cpu"), folder / "meeting"):
        steps = [weights_after_a_step(genotype, ranks) for genotype in (BOTH_INPUTS, ONE_INPUT)]
        training = training_of(BOTH_INPUTS, ranks)
        records = [training.run_epoch(epoch) for epoch in range(2)]
        whole = training._test.measure(training._logits, torch.arange(len(training._test)), 64)
        found = {
            "steps": steps,
            "network": training.network.state_dict(),
            "order": training._order.get_state(),
            "records": [record.model_dump(exclude={"seconds", "images_per_second"}) for record in records],
            "measured": [float(value) / len(training._test) for value in whole],
        }
        torch.save(found, folder / f"{rank}.pt")


def order_alone() -> torch.Tensor:
    """The state of what shuffles the images, after two epochs of one process."""
    training = training_of(BOTH_INPUTS, ALONE)
    for epoch in range(2):
        training.run_epoch(epoch)
    return training._order.get_state()
