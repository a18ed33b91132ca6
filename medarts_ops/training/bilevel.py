"""Search training of a group of individuals: α on one half of the images, w on the other (`searchTrain`, Table I).

A group is one individual, or several whose supernets are stacked into one; all that is an individual's own is in
`member.py`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from medarts_ops.data.augment import Augmentation
from medarts_ops.data.batches import batch_order
from medarts_ops.individual import CellAlpha, Outcome
from medarts_ops.networks.supernet import Supernet, stack_supernets
from medarts_ops.seeds import Stream, integer_seed
from medarts_ops.strategies.protocol import AlphaTensors, Batch, BilevelProblem, Strategy, WeightStep, mean_losses
from medarts_ops.strategies.registry import build_strategy
from medarts_ops.tasks import TrainingTask
from medarts_ops.training.member import EpochSums, Member, slices
from medarts_ops.training.passes import hits, measure
from medarts_ops.training.placed_images import StageTensors
from medarts_ops.training.runtime import Runtime, initial_weights

StepSums = tuple[Tensor, Tensor, Tensor]
"""The weights' mean losses, their hits, and α's mean losses of one iteration, each [individual]."""


class SearchTraining:
    """Stacked supernets, α and members of a group: `run_epoch` again and again, or `step`."""

    def __init__(self, task: TrainingTask, tensors: StageTensors, runtime: Runtime) -> None:
        config = task.config
        self.task, self.tensors, self.runtime = task, tensors, runtime
        self.strategy: Strategy = build_strategy(config.strategy)
        self.supernet = self._fresh_supernet()
        self.alpha = AlphaTensors(
            normal=_leaves([individual.alpha.normal for individual in task.individuals], runtime),
            reduce=_leaves([individual.alpha.reduce for individual in task.individuals], runtime),
        )
        self._parameters = dict(self.supernet.named_parameters())
        buffers = {name: torch.zeros_like(parameter) for name, parameter in self._parameters.items()}
        self._momentum_buffers = buffers
        alphas = {"normal": self.alpha.normal, "reduce": self.alpha.reduce}
        self.members = [
            Member(
                task,
                individual,
                weights=slices(self._parameters, place),
                buffers=slices(buffers, place),
                alphas=slices(alphas, place),
                strategy=self.strategy,
                runtime=runtime,
            )
            for place, individual in enumerate(task.individuals)
        ]
        self._rates = torch.zeros(len(self.members), dtype=torch.float64, device=runtime.device)
        self._set_rates(0)
        weight_step = WeightStep(self._rates, config.weights.momentum, config.weights.weight_decay, buffers)
        self._problem = BilevelProblem(
            supernet=self.supernet,
            alpha=self.alpha,
            mixture=self.strategy.mixture,
            weight_step=weight_step,
            scaled_sum=self._scaled_sum,
            autocast=runtime.autocast,
        )
        self._augmentation = Augmentation.from_config(config.augment, tensors.data.images.shape[1:3])
        self._captured_step = runtime.captured(self._step_of_tensors)

    def _fresh_supernet(self) -> Supernet:
        task, data = self.task, self.tensors.data

        def build(individuals: int) -> Supernet:
            return Supernet(
                self.strategy.supernet_spec(task.config.space.search_space()),
                cells=task.stage.cells,
                channels=task.stage.channels,
                n_classes=data.n_classes,
                in_channels=data.images.shape[-1],
                individuals=individuals,
            )

        singles: list[Supernet] = []
        for individual in task.individuals:
            with initial_weights(integer_seed(task.config.seed, individual.stage, individual.number, Stream.WEIGHTS)):
                singles.append(build(1))
        return stack_supernets(build, singles).to(self.runtime.device)

    @property
    def living(self) -> list[Member]:
        """The members that have not failed."""
        return [member for member in self.members if member.failure is None]

    def run_epoch(self, epoch: int) -> list[Member]:
        """One pass over the weight half, with an α step before each step of w, then acc_valid.

        Returns:
            The members that came through it, each with a new record; the others have failed.
        """
        started = time.perf_counter()
        living = self.living
        self._set_rates(epoch)
        warming_up = epoch < self.task.config.alpha.warmup_epochs
        self.supernet.train()
        sums = torch.zeros(3, len(self.members), device=self.runtime.device)
        n_alpha = 0
        for train, valid in self._batches():
            losses, right, alpha_losses = self.iterate(train, valid, warming_up=warming_up)
            n_train, n_valid = train.labels.shape[1], valid.labels.shape[1]
            n_alpha += 0 if warming_up else n_valid
            sums += torch.stack([losses * n_train, right, alpha_losses * n_valid])
        # The epoch's only wait for the device.
        totals = torch.cat([sums, torch.stack(self._validate())]).t().tolist()
        seconds = (time.perf_counter() - started) / len(living)
        for member, own in zip(self.members, totals, strict=True):
            if member.failure is None:
                member.finish_epoch(epoch, EpochSums._make([*own, n_alpha]), self.tensors.data, seconds)
        return [member for member in living if member.failure is None]

    def _set_rates(self, epoch: int) -> None:
        rates = [member.rate(epoch) for member in self.members]
        for member, rate in zip(self.members, rates, strict=True):
            member.set_rate(rate)
        self._rates.copy_(torch.tensor(rates, dtype=torch.float64))

    def _batches(self) -> Iterator[tuple[Batch, Batch]]:
        size, data = self.task.stage.batch, self.tensors.data
        weight_half, alpha_half = torch.from_numpy(data.weight_indices), torch.from_numpy(data.alpha_indices)
        weight_batches = [batch_order(len(weight_half), size, member.weight_order) for member in self.members]
        alpha_batches = [batch_order(len(alpha_half), size, member.alpha_order) for member in self.members]
        for number in range(len(weight_batches[0])):
            # Halves differ by one image at most; where that costs a batch, α starts over.
            other = number % len(alpha_batches[0])
            yield (
                self._augmented([weight_half[order[number]] for order in weight_batches]),
                self._augmented([alpha_half[order[other]] for order in alpha_batches]),
            )

    def _augmented(self, indices: Sequence[Tensor]) -> Batch:
        streams = [member.augment_stream for member in self.members]
        return self.tensors.placed.augmented_stack(indices, self._augmentation, streams)

    def iterate(self, train: Batch, valid: Batch, *, warming_up: bool = False) -> StepSums:
        """`step`, as a CUDA graph where the runtime uses them; its results are good until the next call."""
        if warming_up:
            return self.step(train, valid, warming_up=True)
        losses, right, alpha_losses = self._captured_step(train.images, train.labels, valid.images, valid.labels)
        return losses, right, alpha_losses

    def _step_of_tensors(self, *tensors: Tensor) -> StepSums:
        train_images, train_labels, valid_images, valid_labels = tensors
        return self.step(Batch(train_images, train_labels), Batch(valid_images, valid_labels))

    def step(self, train: Batch, valid: Batch, *, warming_up: bool = False) -> StepSums:
        """One iteration: the α step at w as it stands, then the step of w. Nothing waits for the device.

        While α warms up it is not stepped, and its losses are 0.
        """
        alpha_losses = torch.zeros_like(self._rates) if warming_up else self._step_alpha(train, valid)
        losses, right = self._step_weights(train)
        return losses, right, alpha_losses

    def _step_alpha(self, train: Batch, valid: Batch) -> Tensor:
        """Adam on the strategy's gradient. Returns the validation losses."""
        gradient = self.strategy.architecture_gradient(self._problem, train, valid)
        for member, own in zip(self.members, _by_member(gradient.gradients), strict=True):
            member.step_alpha(own, scaled=gradient.scaled)
        return gradient.losses.float()

    def _step_weights(self, train: Batch) -> tuple[Tensor, Tensor]:
        """SGD on the clipped gradients; α's gradients are not computed. Returns losses and numbers of hits."""
        with torch.no_grad():
            mixtures = [self.strategy.mixture(alpha) for alpha in self.alpha.all()]
        with self.runtime.autocast():
            logits = self.supernet(train.images, *mixtures)
            losses = mean_losses(logits, train.labels)
        gradients = torch.autograd.grad(self._scaled_sum(losses), list(self._parameters.values()))
        for member, own in zip(self.members, _by_member(gradients), strict=True):
            member.step_weights(own)
        return losses.detach().float(), hits(logits, train.labels)

    def _scaled_sum(self, losses: Tensor) -> Tensor:
        scaled = [member.scaler.scale(loss) for member, loss in zip(self.members, losses.unbind(), strict=True)]
        return torch.stack(scaled).sum()

    @torch.no_grad()
    def _validate(self) -> tuple[Tensor, Tensor]:
        """Summed losses and hits over the validation images: eval mode, running statistics, no augmentation."""
        self.supernet.eval()
        mixtures = [self.strategy.mixture(alpha) for alpha in self.alpha.all()]
        valid = torch.from_numpy(self.tensors.data.valid_indices)

        def logits_of(images: Tensor) -> Tensor:
            logits: Tensor = self.supernet(images.expand(len(self.members), *images.shape), *mixtures)
            return logits

        return measure(logits_of, self.tensors.placed, valid, self.task.stage.batch)

    def state(self) -> dict[str, Any]:
        """All that `load_state` needs to go on from here, as tensors, numbers and text."""
        return {
            "supernet": self.supernet.state_dict(),
            "alpha": [alpha.detach() for alpha in self.alpha.all()],
            "momentum": self._momentum_buffers,
            "members": [member.state() for member in self.members],
        }

    @torch.no_grad()
    def load_state(self, state: dict[str, Any]) -> None:
        """Become what `state` was taken of: the same task, maybe in another process."""
        self.supernet.load_state_dict(state["supernet"])
        for alpha, value in zip(self.alpha.all(), state["alpha"], strict=True):
            alpha.copy_(value)
        for name, buffer in self._momentum_buffers.items():
            buffer.copy_(state["momentum"][name])
        for member, own in zip(self.members, state["members"], strict=True):
            member.load_state(own)

    def outcomes(self) -> Iterator[Outcome]:
        """What became of each member, in the task's order."""
        return (member.outcome() for member in self.members)


def _leaves(cells: Sequence[CellAlpha], runtime: Runtime) -> Tensor:
    """α of a kind of cell as a leaf [individual, edge, op], float32 unless torch's default is another."""
    stacked = torch.stack([torch.from_numpy(cell.op_logits.copy()) for cell in cells])
    return stacked.to(runtime.device, torch.get_default_dtype()).requires_grad_()


def _by_member(gradients: Sequence[Tensor]) -> Iterator[tuple[Tensor, ...]]:
    """Gradients [individual, …] as each member's own."""
    # Fused optimizers read memory in order, whatever a gradient's strides say.
    return zip(*(gradient.contiguous().unbind() for gradient in gradients), strict=True)
