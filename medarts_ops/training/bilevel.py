"""Search training of a group of individuals: α on one half of the images, w on the other (`searchTrain`, Table I).

A group is one individual, or several whose supernets are stacked into one; all that is an individual's own is in
`member.py`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from medarts_ops.data.augment import Augmentation
from medarts_ops.data.batches import Batch, batch_order
from medarts_ops.individual import Outcome
from medarts_ops.networks.same_weights import same_weights
from medarts_ops.networks.skip_dropout import SkipDropout
from medarts_ops.networks.supernet import Supernet, stack_supernets
from medarts_ops.seeds import Stream, integer_seed
from medarts_ops.strategies.alpha_tensors import AlphaTensors
from medarts_ops.strategies.problem import (
    BilevelProblem,
    LossScales,
    Moment,
    Phase,
    WeightStep,
    mean_losses,
    mixtures_of,
)
from medarts_ops.strategies.registry import build_strategy, own_config
from medarts_ops.strategies.strategy import StagePlace
from medarts_ops.tasks import TrainingTask
from medarts_ops.training.alignment import layer_alignment
from medarts_ops.training.kept_memory import kept_memory
from medarts_ops.training.member import EpochSums, Member, slices
from medarts_ops.training.placed_images import StageTensors, hits
from medarts_ops.training.runtime import Runtime, initial_weights

# The weights' mean losses, their hits, and α's mean losses of one iteration, each [individual].
StepSums = tuple[Tensor, Tensor, Tensor]


class SearchTraining:
    """Stacked supernets, α and members of a group: `run_epoch` again and again, or `step`."""

    def __init__(self, task: TrainingTask, tensors: StageTensors, runtime: Runtime) -> None:
        config, device = task.config, runtime.device
        self.task, self.tensors, self.runtime, self._warmup_epochs = task, tensors, runtime, task.warmup_epochs
        self.strategy = build_strategy(own_config(config, task.individuals[0].hyperparameters))
        self.place = StagePlace(task.individuals[0].stage, len(config.stages), task.stage)
        self.supernet = self._fresh_supernet()
        self.alpha = AlphaTensors.stack(
            [individual.alpha for individual in task.individuals],
            self.strategy.space.n_primitives,
            device,
            torch.get_default_dtype(),
        )
        self._parameters = dict(self.supernet.named_parameters())
        self._momentum_buffers = {name: torch.zeros_like(weight) for name, weight in self._parameters.items()}
        # Numbers that change from epoch to epoch stay where a captured step reads them.
        self._progress, self._dropped = (torch.zeros((), device=device) for _ in range(2))
        self.members = [self._member(number) for number in range(len(task.individuals))]
        self._rates = torch.zeros(len(self.members), dtype=torch.float64, device=device)
        self._set_numbers(0)
        self._scales = LossScales([member.scaler for member in self.members])
        self._problem = BilevelProblem(
            supernet=self.supernet,
            strategy=self.strategy,
            alpha=self.alpha,
            moment=self._moment("alpha"),
            weight_step=WeightStep(
                self._rates, config.weights.momentum, config.weights.weight_decay, self._momentum_buffers
            ),
            scales=self._scales,
            autocast=runtime.autocast,
        )
        self._augmentation = Augmentation.from_config(config.augment, tensors.data.images.shape[1:3])
        self._captured_step = runtime.captured(self._step_of_tensors)

    def _member(self, number: int) -> Member:
        """The individual at that place of the stack, in the memory of the whole."""
        return Member(
            self.task,
            self.task.individuals[number],
            weights=slices(self._parameters, number),
            buffers=slices(self._momentum_buffers, number),
            alpha=self.alpha.slice(number),
            strategy=self.strategy,
            place=self.place,
            progress=self._progress,
            runtime=self.runtime,
        )

    def _moment(self, phase: Phase) -> Moment:
        return Moment(phase, self._progress)

    def _fresh_supernet(self) -> Supernet:
        task, data = self.task, self.tensors.data
        spec = self.strategy.supernet_spec(self.place)
        if task.masks is not None:
            spec = spec.restricted(task.masks.normal, task.masks.reduce)
        size = {"cells": task.stage.cells, "channels": task.stage.channels}
        images = {"n_classes": data.n_classes, "in_channels": data.images.shape[-1]}
        matrix_side = task.config.runtime.matrix_side
        build = partial(Supernet, spec, **size, **images, stem=task.config.stem, matrix_side=matrix_side)
        singles: list[Supernet] = []
        for individual in task.individuals:
            with initial_weights(integer_seed(task.config.seed, individual.stage, individual.number, Stream.WEIGHTS)):
                singles.append(build())
        with initial_weights(0):  # which the stack's own give way to
            return stack_supernets(lambda n: build(individuals=n), singles).to(self.runtime.device)

    @property
    def living(self) -> list[Member]:
        return [member for member in self.members if member.failure is None]

    def run_epoch(self, epoch: int) -> list[Member]:
        """One pass over the weight half, an α step before each of w, then acc_valid; returns who came through it."""
        started = time.perf_counter()
        living = self.living
        self._set_numbers(epoch)
        warming_up = epoch < self._warmup_epochs or not self.strategy.trains_alpha
        self.supernet.train()
        sums = torch.zeros(3, len(self.members), device=self.runtime.device)
        n_alpha = 0
        with kept_memory(self.runtime.device):
            for train, valid in self._batches():
                losses, right, alpha_losses = self.iterate(train, valid, warming_up=warming_up)
                n_train, n_valid = train.labels.shape[1], valid.labels.shape[1]
                n_alpha += 0 if warming_up else n_valid
                sums += torch.stack([losses * n_train, right, alpha_losses * n_valid])
        measured = torch.stack([*self._validate(), layer_alignment(self)])
        totals = torch.cat([sums, measured]).t().tolist()  # the epoch's only wait for the device
        seconds = (time.perf_counter() - started) / len(living)
        for member, total in zip(self.members, totals, strict=True):
            if member.failure is None:
                sums_of_it = EpochSums._make([*total, n_alpha])
                member.finish_epoch(epoch, sums_of_it, self.tensors.data, seconds, self._moment("reading"))
        return [member for member in living if member.failure is None]

    def _set_numbers(self, epoch: int) -> None:
        rates = [member.rate(epoch) for member in self.members]
        for member, rate in zip(self.members, rates, strict=True):
            member.set_rate(rate)
        self._rates.copy_(torch.tensor(rates, dtype=torch.float64))
        self._progress.fill_(self.task.config.progress(self.place.index, epoch))
        dropped = self.strategy.skip_dropout(self.place, epoch)
        if not 0 <= dropped < 1:
            name = type(self.strategy).__name__
            raise ValueError(f"{name} gave {dropped} for the skip dropout of epoch {epoch}: allowed is 0 ≤ p < 1")
        self._dropped.fill_(dropped)

    def _batches(self) -> Iterator[tuple[Batch, Batch]]:
        size, data = self.task.stage.batch, self.tensors.data
        weight_half, alpha_half = torch.from_numpy(data.weight_indices), torch.from_numpy(data.alpha_indices)
        weight_batches = [batch_order(len(weight_half), size, member.weight_order) for member in self.members]
        alpha_batches = [batch_order(len(alpha_half), size, member.alpha_order) for member in self.members]
        for number in range(len(weight_batches[0])):
            # Halves differ by one image at most; where that costs a batch, α starts over.
            other = number % len(alpha_batches[0])
            train = self._augmented([weight_half[order[number]] for order in weight_batches])
            if self.task.config.levels == "single":
                yield train, train
            else:
                yield train, self._augmented([alpha_half[order[other]] for order in alpha_batches])

    def _augmented(self, indices: Sequence[Tensor]) -> Batch:
        streams = [member.augment_stream for member in self.members]
        return self.tensors.placed.augmented_stack(indices, self._augmentation, streams)

    def iterate(self, train: Batch, valid: Batch, *, warming_up: bool = False) -> StepSums:
        """`step`, as a CUDA graph where the runtime uses them; its results are good until the next call."""
        draws = self._draws() + self._draws()
        if warming_up:
            return self.step(train, valid, draws, warming_up=True)
        tensors = (train.images, train.labels, valid.images, valid.labels, *draws)
        losses, right, alpha_losses = self._captured_step(*tensors)
        return losses, right, alpha_losses

    def _draws(self) -> tuple[Tensor, ...]:
        """What a forward pass needs that is random, each [individual, …]: the strategy's noise, skip dropout's seeds.

        Drawn outside of the step, so that it is the same on every device and in every stack.
        """
        by_member = (member.draws() for member in self.members)
        drawn = [torch.stack(each) for each in zip(*by_member, strict=True)]
        return tuple(each.to(self.runtime.device, non_blocking=True) for each in drawn)

    def _step_of_tensors(self, *tensors: Tensor) -> StepSums:
        train_images, train_labels, valid_images, valid_labels, *draws = tensors
        return self.step(Batch(train_images, train_labels), Batch(valid_images, valid_labels), draws)

    def step(self, train: Batch, valid: Batch, draws: Sequence[Tensor] = (), *, warming_up: bool = False) -> StepSums:
        """One iteration: the α step at w as it stands, then the step of w. Nothing waits for the device.

        `draws` are those of both steps. While α warms up it is not stepped, and its losses are 0.
        """
        of_alpha, of_weights = draws[: len(draws) // 2], draws[len(draws) // 2 :]
        with same_weights():
            alpha_losses = torch.zeros_like(self._rates) if warming_up else self._step_alpha(train, valid, of_alpha)
            losses, right = self._step_weights(train, of_weights)
        return losses, right, alpha_losses

    def _with(self, draws: Sequence[Tensor]) -> tuple[AlphaTensors, SkipDropout | None]:
        """α and skip dropout of a forward pass that has drawn these."""
        noise, seeds = (draws[:2], draws[2:]) if self.strategy.draws_noise else ((), draws)
        alpha = self.alpha.with_noise(*noise) if noise else self.alpha
        return alpha, SkipDropout(self._dropped.expand(len(self.members)), seeds[0]) if seeds else None

    def _step_alpha(self, train: Batch, valid: Batch, draws: Sequence[Tensor]) -> Tensor:
        """Adam, or what the strategy has, on its gradient. Returns the validation losses."""
        alpha, dropout = self._with(draws)
        problem = replace(self._problem, alpha=alpha, dropout=dropout)
        gradient = self.strategy.architecture_gradient(problem, train, valid)
        for member, gradients in zip(self.members, _by_member(gradient.gradients), strict=True):
            member.step_alpha(gradients, scaled=gradient.scaled)
        return gradient.losses.float()

    def _step_weights(self, train: Batch, draws: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """SGD on the clipped gradients; α's gradients are not computed. Returns losses and numbers of hits."""
        alpha, dropout = self._with(draws)
        with torch.no_grad():
            mixtures = mixtures_of(self.strategy, alpha, self._moment("weights"))
        with self.runtime.autocast():
            logits = self.supernet(train.images, *mixtures, dropout)
            losses = mean_losses(logits, train.labels)
        gradients = torch.autograd.grad(self._scales.sum(losses), list(self._parameters.values()))
        for member, of_member in zip(self.members, _by_member(gradients), strict=True):
            member.step_weights(of_member)
        return losses.detach().float(), hits(logits, train.labels)

    @torch.no_grad()
    def _validate(self) -> tuple[Tensor, Tensor]:
        """Summed losses and hits over the validation images: eval mode, running statistics, no augmentation."""
        self.supernet.eval()
        mixtures = self.reading_mixtures()
        valid = torch.from_numpy(self.tensors.data.valid_indices)

        return self.tensors.placed.measure(
            lambda images: self.supernet.of_shared(images, *mixtures), valid, self.task.stage.batch
        )

    def reading_mixtures(self) -> tuple[Tensor, Tensor]:
        """What α says now, [individual, edge, op] of both kinds of cell."""
        return mixtures_of(self.strategy, self.alpha, self._moment("reading"))

    def state(self) -> dict[str, Any]:
        return {
            "supernet": self.supernet.state_dict(),
            "alpha": [alpha.detach() for alpha in self.alpha.leaves()],
            "momentum": self._momentum_buffers,
            "members": [member.state() for member in self.members],
        }

    def state_of(self, names: Sequence[str]) -> dict[str, Any]:
        """The state of a training of some of its individuals alone, in the order of their ids."""
        places, whole = [self.task.names.index(name) for name in names], self.state()
        return {
            "supernet": self.supernet.state_of(places),
            "alpha": [alpha[places] for alpha in whole["alpha"]],
            "momentum": {name: buffer[places] for name, buffer in whole["momentum"].items()},
            "members": [whole["members"][place] for place in places],
        }

    @torch.no_grad()
    def load_state(self, state: dict[str, Any]) -> None:
        self.supernet.load_state_dict(state["supernet"])
        for alpha, value in zip(self.alpha.leaves(), state["alpha"], strict=True):
            alpha.copy_(value)
        for name, buffer in self._momentum_buffers.items():
            buffer.copy_(state["momentum"][name])
        for member, held in zip(self.members, state["members"], strict=True):
            member.load_state(held)

    def outcomes(self) -> Iterator[Outcome]:
        epochs = max(len(member.history) for member in self.members)
        self._set_numbers(max(0, epochs - 1))  # those of the last one, which a time limit may have made an earlier one
        return (member.outcome(self._moment("reading")) for member in self.members)


def _by_member(gradients: Sequence[Tensor]) -> Iterator[tuple[Tensor, ...]]:
    """Gradients [individual, …] as each member's own."""
    # Fused optimizers read memory in order, whatever a gradient's strides say.
    return zip(*([part.contiguous() for part in gradient.unbind()] for gradient in gradients), strict=True)
