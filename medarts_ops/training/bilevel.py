"""Search training of one individual: α on one half of the images, w on the other (`searchTrain` of paper Table I)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from medarts_ops.data.augment import Augmentation
from medarts_ops.data.batches import batch_order
from medarts_ops.errors import TrainingDiverged
from medarts_ops.individual import (
    Alpha,
    CellAlpha,
    EpochRecord,
    FailedIndividual,
    Individual,
    Outcome,
    TrainedIndividual,
    TrainingTask,
    mixture_peak,
)
from medarts_ops.networks.supernet import Supernet
from medarts_ops.seeds import Stream, integer_seed
from medarts_ops.space.discretize import discretize
from medarts_ops.space.genotype import Genotype
from medarts_ops.strategies.protocol import AlphaTensors, Batch, BilevelProblem, Strategy
from medarts_ops.strategies.registry import build_strategy
from medarts_ops.training.passes import clipped_step, hits, measure
from medarts_ops.training.placed_images import StageTensors
from medarts_ops.training.runtime import Runtime, initial_weights

EpochCallback = Callable[[Individual, EpochRecord], None]


def train_individual(
    task: TrainingTask, individual: Individual, tensors: StageTensors, runtime: Runtime, on_epoch: EpochCallback
) -> Outcome:
    """Train a fresh supernet with the individual's α (weights are never inherited).

    A NaN or infinite loss or α ends in a `FailedIndividual`, which names individual, stage and epoch.
    """
    training = SearchTraining(task, individual, tensors, runtime)
    history: list[EpochRecord] = []
    for epoch in range(task.stage.epochs):
        try:
            record = training.run_epoch(epoch)
        except TrainingDiverged as error:
            spent = sum(record.seconds for record in history)
            return FailedIndividual(individual=individual, reason=str(error), epoch=epoch, seconds=spent)
        history.append(record)
        on_epoch(individual, record)
    alpha, genotype = training.alpha_and_genotype()
    return TrainedIndividual(
        individual=individual,
        alpha=alpha,
        genotype=genotype,
        valid_accuracy=history[-1].valid_accuracy,
        history=tuple(history),
        seconds=sum(record.seconds for record in history),
    )


class SearchTraining:
    """Supernet, α, their optimizers and random streams of one individual: `run_epoch` again and again, or `step`."""

    def __init__(self, task: TrainingTask, individual: Individual, tensors: StageTensors, runtime: Runtime) -> None:
        config, stage, hyper = task.config, task.stage, individual.hyperparameters
        self.task, self.individual, self.tensors, self.runtime = task, individual, tensors, runtime
        self.space = config.space.search_space()
        self.strategy: Strategy = build_strategy(config.strategy)
        with initial_weights(self._seed(Stream.WEIGHTS)):
            supernet = Supernet(
                self.strategy.supernet_spec(self.space),
                cells=stage.cells,
                channels=stage.channels,
                n_classes=tensors.data.n_classes,
                in_channels=tensors.data.images.shape[-1],
            )
        self.supernet = runtime.place(supernet)
        self.alpha = AlphaTensors(
            normal=_leaf(individual.alpha.normal, runtime.device), reduce=_leaf(individual.alpha.reduce, runtime.device)
        )
        fused = runtime.fused_optimizers()
        self.weights_optimizer = torch.optim.SGD(
            self.supernet.parameters(),
            lr=hyper.weights_lr,
            momentum=config.weights.momentum,
            weight_decay=config.weights.weight_decay,
            fused=fused,
        )
        self.alpha_optimizer = torch.optim.Adam(
            self.alpha.all(),
            lr=hyper.alpha_lr,
            betas=(config.alpha.beta1, config.alpha.beta2),
            weight_decay=hyper.alpha_weight_decay,
            fused=fused,
        )
        # Steps once an epoch, so the first epoch runs at exactly the initial rate.
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
            self.weights_optimizer, T_max=stage.epochs, eta_min=min(config.weights.lr_min, hyper.weights_lr)
        )
        self.scaler = runtime.gradient_scaler()
        self.problem = BilevelProblem(
            supernet=self.supernet,
            alpha=self.alpha,
            mixture=self.strategy.mixture,
            weights_optimizer=self.weights_optimizer,
            scale=self.scaler.scale,
            autocast=runtime.autocast,
        )
        self.augmentation = Augmentation.from_config(config.augment, tensors.data.images.shape[1:3])
        # Orders are drawn on the CPU (the same on every device), augmentation where the images are.
        self.weight_order = torch.Generator().manual_seed(self._seed(Stream.WEIGHT_BATCHES))
        self.alpha_order = torch.Generator().manual_seed(self._seed(Stream.ALPHA_BATCHES))
        self.augment_stream = runtime.generator(self._seed(Stream.AUGMENTATION))

    def _seed(self, stream: Stream) -> int:
        return integer_seed(self.task.config.seed, self.individual.stage, self.individual.number, stream)

    def run_epoch(self, epoch: int) -> EpochRecord:
        """One pass over the weight half, with an α step before each step of w, then acc_valid.

        Raises:
            TrainingDiverged: a loss or an α is not finite; checked once, at the end of the epoch.
        """
        started = time.perf_counter()
        lr = float(self.weights_optimizer.param_groups[0]["lr"])
        warming_up = epoch < self.task.config.alpha.warmup_epochs
        self.supernet.train()
        weight_loss, correct, alpha_loss = (torch.zeros((), device=self.runtime.device) for _ in range(3))
        n_alpha = 0
        for train, valid in self._batches():
            loss, right, loss_of_alpha = self.step(train, valid, warming_up=warming_up)
            if loss_of_alpha is not None:
                alpha_loss += loss_of_alpha * len(valid.labels)
                n_alpha += len(valid.labels)
            weight_loss += loss * len(train.labels)
            correct += right
        self.schedule.step()
        valid_loss, valid_hits = self._validate()
        # The epoch's only wait for the device.
        sums = torch.stack([weight_loss, correct, alpha_loss, valid_loss, valid_hits]).tolist()
        seconds = time.perf_counter() - started
        return self._record(epoch, lr, sums, n_alpha, seconds)

    def step(self, train: Batch, valid: Batch, *, warming_up: bool = False) -> tuple[Tensor, Tensor, Tensor | None]:
        """One iteration: the α step at w as it stands, then the step of w. Nothing waits for the device.

        Returns:
            The weights' mean loss on `train`, its number of hits, and α's mean loss on `valid` (None while warming up).
        """
        alpha_loss = None if warming_up else self._step_alpha(train, valid)
        loss, right = self._step_weights(train)
        return loss, right, alpha_loss

    def _batches(self) -> Iterator[tuple[Batch, Batch]]:
        size = self.task.stage.batch
        weight_half, alpha_half = self.tensors.data.weight_indices, self.tensors.data.alpha_indices
        weight_batches = batch_order(len(weight_half), size, self.weight_order)
        alpha_batches = batch_order(len(alpha_half), size, self.alpha_order)
        for number, indices in enumerate(weight_batches):
            # Halves differ by one image at most; where that costs a batch, α starts over.
            others = alpha_batches[number % len(alpha_batches)]
            yield self._augmented(weight_half, indices), self._augmented(alpha_half, others)

    def _augmented(self, half: NDArray[np.int64], indices: Tensor) -> Batch:
        chosen = torch.from_numpy(half)[indices]
        return self.tensors.placed.augmented(chosen, self.augmentation, self.augment_stream)

    def _step_alpha(self, train: Batch, valid: Batch) -> Tensor:
        """Adam on the strategy's gradient; α is not clipped. Returns the validation loss."""
        gradient = self.strategy.architecture_gradient(self.problem, train, valid)
        for alpha, value in zip(self.alpha.all(), gradient.gradients, strict=True):
            alpha.grad = value
        if gradient.scaled:
            self.scaler.step(self.alpha_optimizer)
        else:
            self.alpha_optimizer.step()
        return gradient.loss.float()

    def _step_weights(self, train: Batch) -> tuple[Tensor, Tensor]:
        """SGD on the clipped gradient; α's gradient is not computed. Returns loss and number of hits."""
        with torch.no_grad():
            mixtures = [self.strategy.mixture(alpha) for alpha in self.alpha.all()]
        with self.runtime.autocast():
            logits = self.supernet(train.images, *mixtures)
            loss = F.cross_entropy(logits, train.labels)
        clipped_step(loss, self.weights_optimizer, self.scaler, self.task.config.weights.grad_clip)
        return loss.detach().float(), hits(logits, train.labels)

    @torch.no_grad()
    def _validate(self) -> tuple[Tensor, Tensor]:
        """Summed loss and hits over the validation images: eval mode, running statistics, no augmentation."""
        self.supernet.eval()
        mixtures = [self.strategy.mixture(alpha) for alpha in self.alpha.all()]
        valid = torch.from_numpy(self.tensors.data.valid_indices)
        return measure(
            lambda images: self.supernet(images, *mixtures), self.tensors.placed, valid, self.task.stage.batch
        )

    def _record(self, epoch: int, lr: float, sums: list[float], n_alpha: int, seconds: float) -> EpochRecord:
        weight_loss, correct, alpha_loss, valid_loss, valid_hits = sums
        n_train, n_valid = len(self.tensors.data.weight_indices), len(self.tensors.data.valid_indices)
        finite = math.isfinite(weight_loss) and math.isfinite(alpha_loss) and math.isfinite(valid_loss)
        if not finite or not all(bool(torch.isfinite(alpha).all()) for alpha in self.alpha.all()):
            raise TrainingDiverged(
                f"individual {self.individual.id}, stage {self.task.stage.name!r}, epoch {epoch}: loss or α became "
                f"NaN or infinite (weights {weight_loss:g}, α half {alpha_loss:g}, validation {valid_loss:g}); "
                "lower weights.lr or alpha.lr, or set runtime.amp=off"
            )
        normal, reduce = self._mixtures()
        genotype = discretize(self.space, normal, reduce)
        return EpochRecord(
            epoch=epoch,
            train_loss=weight_loss / n_train,
            train_accuracy=correct / n_train,
            alpha_loss=alpha_loss / n_alpha if n_alpha else None,
            valid_loss=valid_loss / n_valid,
            valid_accuracy=valid_hits / n_valid,
            lr=lr,
            normal_skips=genotype.skip_count("normal"),
            reduce_skips=genotype.skip_count("reduce"),
            max_mixture_normal=mixture_peak(normal),
            max_mixture_reduce=mixture_peak(reduce),
            seconds=seconds,
            images_per_second=(n_train + n_alpha) / seconds,
        )

    def _mixtures(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        with torch.no_grad():
            normal, reduce = (self.strategy.mixture(alpha).cpu().numpy() for alpha in self.alpha.all())
        return normal, reduce

    def alpha_and_genotype(self) -> tuple[Alpha, Genotype]:
        """The trained α, and the architecture that it stands for."""
        normal, reduce = (CellAlpha(op_logits=alpha.detach().cpu().numpy()) for alpha in self.alpha.all())
        return Alpha(normal=normal, reduce=reduce), discretize(self.space, *self._mixtures())


def _leaf(alpha: CellAlpha, device: torch.device) -> Tensor:
    return torch.from_numpy(alpha.op_logits.copy()).to(device).requires_grad_()
