"""One individual's own part in the training of its group: optimizers, loss scale, random streams, history."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from medarts_ops.alpha import Alpha, Mixtures
from medarts_ops.data.stage_data import StageData
from medarts_ops.errors import GenotypeError
from medarts_ops.hyperparameters import STRATEGY
from medarts_ops.individual import (
    EpochRecord,
    FailedIndividual,
    FailureCause,
    Individual,
    Outcome,
    TrainedIndividual,
)
from medarts_ops.seeds import Stream, integer_seed
from medarts_ops.strategies.alpha_tensors import AlphaTensors
from medarts_ops.strategies.problem import Moment
from medarts_ops.strategies.reading import read_mixtures
from medarts_ops.strategies.skip_repair import read_genotype
from medarts_ops.strategies.strategy import AlphaStep, StagePlace, Strategy
from medarts_ops.tasks import TrainingTask
from medarts_ops.training.runtime import Runtime
from medarts_ops.training.weight_steps import SCHEDULES, clipped_update, set_rate


class EpochSums(NamedTuple):
    """What one epoch added up to: losses and hits summed over images, and how many images stepped α."""

    weight_loss: float
    weight_hits: float
    alpha_loss: float
    valid_loss: float
    valid_hits: float
    alignment: float
    n_alpha: int


class Member:
    """An individual of a stack.

    Its optimizers are ordinary ones over its slices of the stacked weights, momentum buffers (zeros at first) and α, so
    that learning rates, decay, clipping, loss scale and the check for infinities are its own, as if it were alone.
    """

    def __init__(
        self,
        task: TrainingTask,
        individual: Individual,
        *,
        weights: Sequence[Tensor],
        buffers: Sequence[Tensor],
        alpha: AlphaTensors,
        strategy: Strategy,
        place: StagePlace,
        progress: Tensor,
        runtime: Runtime,
    ) -> None:
        config, hyper = task.config, individual.hyperparameters
        self.individual, self._task, self._strategy, self._place = individual, task, strategy, place
        self._weights, self._alpha = list(weights), alpha
        self._arrays = [array[0] for array in alpha.leaves()]
        fused = runtime.fused_optimizers()
        self._weights_optimizer = torch.optim.SGD(
            self._weights,
            lr=hyper.weights_lr,
            momentum=config.weights.momentum,
            weight_decay=config.weights.weight_decay,
            fused=fused,
        )
        # Set here, since SGD would look at the value of a tensor that it is given, and wait for the device.
        self._weights_optimizer.param_groups[0]["lr"] = runtime.rate(hyper.weights_lr)
        for weight, buffer in zip(self._weights, buffers, strict=True):
            self._weights_optimizer.state[weight]["momentum_buffer"] = buffer
        alpha_lr = hyper.alpha_lr * task.stage.alpha_rate
        step = AlphaStep(alpha_lr, hyper.alpha_weight_decay, config.alpha, fused, runtime.cuda_graphs, progress)
        self._alpha_optimizer = strategy.alpha_optimizer(self._arrays, step)
        self.scaler = runtime.gradient_scaler()
        # Orders are drawn on the CPU (the same on every device), augmentation where the images are.
        self.weight_order = torch.Generator().manual_seed(self._seed(Stream.WEIGHT_BATCHES))
        self.alpha_order = torch.Generator().manual_seed(self._seed(Stream.ALPHA_BATCHES))
        self.augment_stream = runtime.generator(self._seed(Stream.AUGMENTATION))
        self._strategy_stream = torch.Generator().manual_seed(self._seed(Stream.STRATEGY))
        self._streams = [self.weight_order, self.alpha_order, self.augment_stream]
        if strategy.draws_noise or strategy.drops_skips:
            self._streams.append(self._strategy_stream)
        self.history: list[EpochRecord] = []
        self.failure: FailedIndividual | None = None

    def _seed(self, stream: Stream) -> int:
        return integer_seed(self._task.config.seed, self.individual.stage, self.individual.number, stream)

    def rate(self, epoch: int) -> float:
        """The weights' learning rate: it falls over the stage, whose first epoch runs at exactly the initial rate."""
        lr, weights = self.individual.hyperparameters.weights_lr, self._task.config.weights
        return SCHEDULES[weights.schedule](lr, min(weights.lr_min, lr), epoch, self._task.stage.epochs)

    def set_rate(self, value: float) -> None:
        set_rate(self._weights_optimizer, value)

    def draws(self) -> tuple[Tensor, ...]:
        """What a forward pass of this member needs that is random: noise of both kinds of cell, a seed of dropout."""
        stream = self._strategy_stream
        noise = [self._strategy.noise(stream) for _ in range(2)] if self._strategy.draws_noise else []
        seeds = [torch.randint(2**31, (), generator=stream)] if self._strategy.drops_skips else []
        return (*noise, *seeds)

    def step_alpha(self, gradients: Sequence[Tensor], *, scaled: bool) -> None:
        """Step α, which is not clipped. `scaled` gradients carry this member's loss scale."""
        with _given(self._arrays, gradients):
            if scaled:
                self.scaler.step(self._alpha_optimizer)
            else:
                self._alpha_optimizer.step()

    def step_weights(self, gradients: Sequence[Tensor]) -> None:
        """SGD on the clipped gradient; the loss scale's turn ends here."""
        with _given(self._weights, gradients):
            clipped_update(self._weights_optimizer, self.scaler, self._task.config.weights.grad_clip)

    def finish_epoch(self, epoch: int, sums: EpochSums, data: StageData, seconds: float, moment: Moment) -> None:
        """Let the strategy change α, and record the epoch; or fail, if a loss or an α is not finite or says no cell.

        A stack goes on computing a failed member, which touches no one else.
        """
        finite = all(map(math.isfinite, (sums.weight_loss, sums.alpha_loss, sums.valid_loss)))
        if not finite or not all(bool(torch.isfinite(array).all()) for array in self._arrays):
            self.failure = self._failed(epoch, self._divergence(epoch, sums), "diverged")
            return
        try:
            alpha, mixtures = self._after_epoch(epoch, moment)
            genotype, _ = read_genotype(self._strategy, mixtures, self._task.config.max_skips)
        except GenotypeError as error:  # what α says is no architecture: the strategy's mistake, or its mask's
            self.failure = self._failed(epoch, str(error), "crashed")
            return
        n_train, n_valid = len(data.weight_indices), len(data.valid_indices)
        record = EpochRecord(
            epoch=epoch,
            train_loss=sums.weight_loss / n_train,
            train_accuracy=sums.weight_hits / n_train,
            alpha_loss=sums.alpha_loss / sums.n_alpha if sums.n_alpha else None,
            valid_loss=sums.valid_loss / n_valid,
            valid_accuracy=sums.valid_hits / n_valid,
            lr=self.rate(epoch),
            normal_skips=genotype.skip_count("normal"),
            reduce_skips=genotype.skip_count("reduce"),
            max_mixture_normal=float(mixtures.normal.max(axis=1).mean()),
            max_mixture_reduce=float(mixtures.reduce.max(axis=1).mean()),
            seconds=seconds,
            layer_alignment=sums.alignment if math.isfinite(sums.alignment) else None,
            images_per_second=(n_train + sums.n_alpha) / seconds,
            alpha=alpha,
            genotype=genotype,
        )
        self.history.append(record)

    def _divergence(self, epoch: int, sums: EpochSums) -> str:
        own = [f"{STRATEGY}{name} ({value:g})" for name, value in self.individual.hyperparameters.strategy.items()]
        numbers = ", ".join(["weights.lr", "alpha.lr", *own])
        return (
            f"individual {self.individual.id}, stage {self._task.stage.name!r}, epoch {epoch}: loss or α became NaN "
            f"or infinite (weights {sums.weight_loss:g}, α half {sums.alpha_loss:g}, validation {sums.valid_loss:g}); "
            f"lower one of {numbers}, or set runtime.amp=off"
        )

    def _failed(self, epoch: int, reason: str, cause: FailureCause) -> FailedIndividual:
        spent = sum(record.seconds for record in self.history)
        return FailedIndividual(individual=self.individual, reason=reason, cause=cause, epoch=epoch, seconds=spent)

    def _after_epoch(self, epoch: int, moment: Moment) -> tuple[Alpha, Mixtures]:
        """α as the strategy leaves it after an epoch, and what it says then."""
        trained, mixtures = self._alpha.value(), read_mixtures(self._strategy, self._alpha, moment)
        alpha = self._strategy.after_epoch(trained, mixtures, self._place, epoch)
        if alpha is trained:
            return trained, mixtures
        self._alpha.overwrite(alpha)
        return alpha, read_mixtures(self._strategy, self._alpha, moment)

    def state(self) -> dict[str, Any]:
        """What is the member's own beside its slices of the stacked tensors."""
        return {
            "alpha_optimizer": self._alpha_optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "streams": [stream.get_state() for stream in self._streams],
            "history": [record.model_dump_json() for record in self.history],
            "failure": None if self.failure is None else self.failure.model_dump_json(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        self._alpha_optimizer.load_state_dict(state["alpha_optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        for stream, held in zip(self._streams, state["streams"], strict=True):
            stream.set_state(held.cpu())
        self.history = [EpochRecord.model_validate_json(record) for record in state["history"]]
        if self.history and (last := self.history[-1].alpha) is not None:
            self._alpha.overwrite_masks(last)  # which stand nowhere else in the state
        failure = state["failure"]
        self.failure = None if failure is None else FailedIndividual.model_validate_json(failure)

    def outcome(self, moment: Moment) -> Outcome:
        if self.failure is not None:
            return self.failure
        mixtures = read_mixtures(self._strategy, self._alpha, moment)
        genotype, set_aside = read_genotype(self._strategy, mixtures, self._task.config.max_skips)
        return TrainedIndividual(
            individual=self.individual,
            alpha=self._alpha.value(),
            genotype=genotype,
            skips_set_aside=set_aside,
            valid_accuracy=self.history[-1].valid_accuracy,
            epoch=self.history[-1].epoch,
            history=tuple(self.history),
            seconds=sum(record.seconds for record in self.history),
        )


@contextmanager
def _given(parameters: Sequence[Tensor], gradients: Sequence[Tensor]) -> Iterator[None]:
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    yield
    for parameter in parameters:
        parameter.grad = None


def slices(tensors: Mapping[str, Tensor], place: int) -> list[Tensor]:
    """The member's part of tensors [individual, …]: leaves that share their memory."""
    return [tensor.detach()[place] for tensor in tensors.values()]
