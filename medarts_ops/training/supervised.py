"""Full-size training of one derived network on the standard data (DARTS's setting, paper IV.C)."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from functools import partial
from typing import IO, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from medarts_ops.config import EvaluateConfig, ResolvedEvaluateConfig
from medarts_ops.data.augment import Augmentation
from medarts_ops.data.batches import Batch, batch_order
from medarts_ops.data.dataset import ImageDataset, LabelledImages
from medarts_ops.data.evaluation_images import with_validation
from medarts_ops.data.proxy import channel_statistics
from medarts_ops.errors import ConfigError, TrainingDiverged
from medarts_ops.individual import EvaluationEpoch
from medarts_ops.networks.autocast import convolution_weights, with_weights_cast
from medarts_ops.networks.derived import DerivedNetwork, path_factors
from medarts_ops.networks.ends import least_batch
from medarts_ops.networks.layout import check_stem
from medarts_ops.seeds import Stream, integer_seed
from medarts_ops.space.genotype import Genotype
from medarts_ops.training.classification import balanced_class_weights
from medarts_ops.training.kept_memory import kept_memory
from medarts_ops.training.placed_images import PlacedImages, hits
from medarts_ops.training.runtime import Runtime, initial_weights
from medarts_ops.training.validation import Validation
from medarts_ops.training.weight_steps import SCHEDULES, accumulated, clipped_update, set_rate, warmed_up


def check_network(config: ResolvedEvaluateConfig, resolution: tuple[int, int], devices: int = 1) -> None:
    """Refuse, by a ConfigError, images that a network is no match for, and fewer of them a step than it takes.

    Each of several `devices` takes as many.
    """
    check_stem(config.stem, config.channels, resolution)
    least = devices * least_batch(auxiliary=config.auxiliary.weight > 0, stem=config.stem)
    if config.batch < least:
        on_each = f" on {devices} devices" if devices > 1 else ""
        raise ConfigError(
            f"batch is {config.batch} and auxiliary.weight {config.auxiliary.weight:g}: the auxiliary head's norm "
            f"takes {least} images a step{on_each} or more; raise batch or set auxiliary.weight=0"
        )


class SupervisedTraining:
    """A network in training, with all that it needs; `statistics`, of its training images, normalise all."""

    def __init__(
        self, genotype: Genotype, config: ResolvedEvaluateConfig, dataset: ImageDataset, runtime: Runtime
    ) -> None:
        self._config, self._runtime, self._ranks = config, runtime, runtime.ranks
        check_network(config, dataset.resolution, self._ranks.of)
        with initial_weights(_seed(config, Stream.WEIGHTS)):
            network = network_to_train(genotype, config, dataset.n_classes, dataset.in_channels)
        self.network = runtime.place(network)
        self._joined = self._ranks.joined(self.network, reads_all=self.network.reads_all)
        self._cast_together = partial(with_weights_cast, self.network, convolution_weights(self.network))
        self._compiled = runtime.compiled(self._joined)  # for whole batches: each other size would be compiled anew
        # How probably a path is kept stays where a captured step reads it.
        self._kept, self._drops = torch.ones((), device=runtime.device), False
        self._optimizer = torch.optim.SGD(
            self.network.parameters(),
            lr=config.weights.lr,
            momentum=config.weights.momentum,
            weight_decay=config.weights.weight_decay,
            fused=runtime.fused_optimizers(),
        )
        self._place_rate()
        self._scaler = runtime.gradient_scaler()
        train, held_back = with_validation(dataset, config)
        self.statistics = channel_statistics(train.images)
        self._train, self._test = (self._placed(part) for part in (train, dataset.test))
        balanced = config.class_weights == "balanced"
        self._class_weights: Tensor | None = None
        self._counts = torch.ones(len(train), dtype=torch.float64)
        if balanced:
            weights = balanced_class_weights(train.labels, dataset.n_classes)
            self._class_weights = torch.from_numpy(weights).float().to(runtime.device)
            self._counts = torch.from_numpy(weights[train.labels])
        self._validation: Validation | None = None
        if held_back is not None:
            self._validation = Validation(self._placed(held_back), dataset.n_classes, balanced=balanced)
        self._augmentation = Augmentation.from_config(config.augment, dataset.resolution)
        self._order = torch.Generator().manual_seed(_seed(config, Stream.WEIGHT_BATCHES))
        self._augment_stream = runtime.generator(_seed(config, Stream.AUGMENTATION))
        self._drop_stream = runtime.generator(_seed(config, Stream.DROP_PATH))
        self._streams = (self._order, self._augment_stream, self._drop_stream)
        self._captured = {last: runtime.captured(partial(self._step_of_tensors, last)) for last in (False, True)}
        self._captured_logits = runtime.captured(lambda images: (self._cast_together(images)[0],))
        self.history: list[EvaluationEpoch] = []

    def run_epoch(self, epoch: int) -> EvaluationEpoch:
        """One pass over the training images, then the test set, or the images held back to validate instead.

        Raises:
            TrainingDiverged: a loss became NaN or infinite.
        """
        started = time.perf_counter()
        config = self._config
        lr, drop = self.set_epoch(epoch)
        self.network.train()
        if self._ranks.rank > 0:  # drop paths of its own, which no checkpoint has to keep
            self._drop_stream.manual_seed(integer_seed(config.seed, epoch, self._ranks.rank, Stream.DROP_PATH))
        loss_sum, correct = (torch.zeros((), device=self._runtime.device) for _ in range(2))
        least = self._ranks.of * self.network.least_batch
        batches = batch_order(len(self._train), config.batch, self._order, least)
        with kept_memory(self._runtime.device):
            for indices, own, share, is_last in accumulated(batches, config.accumulate, self._counts, self._ranks):
                batch = self._train.augmented(indices, self._augmentation, self._augment_stream, own)
                loss, right = self.iterate(batch, share, is_last=is_last)
                loss_sum += loss * len(batch.labels)
                correct += right
        trained = time.perf_counter()
        found = self._ranks.total(torch.cat([torch.stack([loss_sum, correct]), self._measured()]))
        sums = found.tolist()  # the only wait for the device
        if not math.isfinite(sums[0]) or not math.isfinite(sums[2]):
            raise TrainingDiverged(
                f"evaluation, epoch {epoch}: the loss became NaN or infinite; lower weights.lr or set runtime.amp=off"
            )
        n_train = len(self._train)
        record = EvaluationEpoch(
            epoch=epoch,
            train_loss=sums[0] / n_train,
            train_accuracy=sums[1] / n_train,
            **self._measures(sums[2:]),
            lr=lr,
            drop_path=drop,
            seconds=time.perf_counter() - started,
            images_per_second=n_train / max(trained - started, 1e-9),
        )
        self.history.append(record)
        if self._validation is not None:
            self._validation.keep_if_best(self.history, self.network)
        return record

    def set_epoch(self, epoch: int) -> tuple[float, float]:
        """Set, and return, the learning rate and the probability of drop path that an epoch, from 0, has."""
        config, lr = self._config, self._rate(epoch)
        # Rises linearly from 0, as DARTS writes it: the last epoch has not quite the full probability.
        drop = config.drop_path * epoch / config.epochs
        set_rate(self._optimizer, lr)
        self._kept.fill_(1 - drop)
        self._drops = drop > 0
        return lr, drop

    def _logits(self, images: Tensor) -> Tensor:
        return self._captured_logits(images)[0].clone()  # which the next replay would overwrite

    def _measured(self) -> Tensor:
        """Sums over this process's part of the images that measure an epoch, on the device, the loss's first."""
        self._ranks.share_buffers(self.network)
        self.network.eval()
        batch, n = self._config.batch // self._ranks.of, len(self._test)
        if self._validation is not None:
            return self._validation.sums(self._logits, batch)
        return torch.stack(self._test.measure(self._logits, torch.arange(n)[self._ranks.part(n)], batch))

    def _measures(self, sums: Sequence[float]) -> dict[str, float]:
        if self._validation is not None:
            return self._validation.measures(sums)
        loss, right = (value / len(self._test) for value in sums)
        return {"test_loss": loss, "test_error": 1 - right}

    def test_logits(self) -> Tensor:
        """Float32 [image, class] of the test set, by the chosen epoch's weights, which are the network's from here on.

        Raises:
            TrainingDiverged: they are not finite.
        """
        if self._validation is not None:
            self._validation.put_back(self.network)
        self.network.eval()
        logits = self._test.logits(self._logits, self._config.batch // self._ranks.of)
        if not logits.isfinite().all():
            raise TrainingDiverged(
                "evaluation: the trained network's answers are NaN or infinite; lower weights.lr or set runtime.amp=off"
            )
        return logits

    def _placed(self, part: LabelledImages) -> PlacedImages:
        return PlacedImages.place(part.images, part.labels, *self.statistics, self._runtime)

    def _place_rate(self) -> None:
        self._optimizer.param_groups[0]["lr"] = self._runtime.rate(self._config.weights.lr)

    def _rate(self, epoch: int) -> float:
        config, weights = self._config, self._config.weights
        falling = SCHEDULES[weights.schedule](weights.lr, weights.lr_min, epoch, config.epochs)
        return warmed_up(falling, weights.lr, epoch, config.warmup_epochs)

    def iterate(self, batch: Batch, share: float = 1.0, *, is_last: bool = True) -> tuple[Tensor, Tensor]:
        """`step` with paths drawn, as a CUDA graph where the runtime uses them; its results are good until the next."""
        device = self._runtime.device
        tensors = (batch.images, batch.labels, *self._draws(len(batch.labels)))
        loss, right = self._captured[is_last](*tensors, torch.full((), share, dtype=torch.float64, device=device))
        return loss, right

    def _draws(self, n_images: int) -> tuple[Tensor, ...]:
        """What drop path draws, if it has any, [path, image]; outside of the step, whose graph would repeat it."""
        if self._config.drop_path == 0:
            return ()
        shape, device = (self.network.n_paths, n_images), self._runtime.device
        if not self._drops:  # as in the first epoch, which draws nothing
            return (torch.zeros(shape, device=device),)
        return (torch.rand(shape, device=device, generator=self._drop_stream),)

    def _step_of_tensors(
        self, is_last: bool, images: Tensor, labels: Tensor, *draws_and_share: Tensor
    ) -> tuple[Tensor, Tensor]:
        *draws, share = draws_and_share
        return self.step(Batch(images, labels), draws[0] if draws else None, share, is_last=is_last)

    def step(
        self, batch: Batch, draws: Tensor | None = None, share: Tensor | float = 1.0, *, is_last: bool = True
    ) -> tuple[Tensor, Tensor]:
        """A step of the weights, or the `share` of one that a batch has: its last batch steps them.

        `draws [path, image]` are drop path's, if it has any. Returns the classifier's mean loss and its hits, without
        waiting for the device.
        """
        smoothing, weight = self._config.label_smoothing, self._class_weights
        dtype = self._runtime.amp_type or batch.images.dtype
        paths = None if draws is None else path_factors(draws, self._kept, dtype)
        with self._ranks.exchange(self._joined, now=is_last):
            with self._runtime.autocast():
                logits, auxiliary = self._outputs(batch.images, paths)
                main = loss = F.cross_entropy(logits, batch.labels, weight=weight, label_smoothing=smoothing)
                if auxiliary is not None:
                    of_auxiliary = F.cross_entropy(auxiliary, batch.labels, weight=weight, label_smoothing=smoothing)
                    loss = loss + self._config.auxiliary.weight * of_auxiliary
            self._scaler.scale(loss * share).backward()
        if is_last:
            self.update()
        return main.detach().float(), hits(logits, batch.labels)

    def _outputs(self, images: Tensor, paths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """What the network makes of a batch in training."""
        network = self._compiled if len(images) == self._config.batch else self._joined
        # Compiled casts take no launches, several cards exchange gradients one by one as they come, and what is
        # computed twice reads weights as they are.
        alone = network is self.network and not self._config.runtime.checkpoint_cells
        logits, auxiliary = self._cast_together(images, paths) if alone else network(images, paths)
        return logits, auxiliary

    def update(self) -> None:
        """The weights stepped by the gradients that batches left, which are gone, or zero, afterwards."""
        clipped_update(self._optimizer, self._scaler, self._config.weights.grad_clip)
        self._optimizer.zero_grad(set_to_none=not self._runtime.cuda_graphs)  # which two graphs of a step share

    def state(self) -> dict[str, Any]:
        # Only where there is something to keep: checkpoints of earlier releases have no such part.
        chosen = {} if self._validation is None else {"chosen": self._validation.state()}
        return chosen | {
            "network": self.network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
            "streams": [stream.get_state() for stream in self._streams],
            "history": [record.model_dump_json() for record in self.history],
        }

    def load_state(self, state: dict[str, Any]) -> None:
        if self._validation is not None:
            self._validation.load_state(state["chosen"])
        self.network.load_state_dict(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._place_rate()  # of another runtime it may be a number, or elsewhere
        self._scaler.load_state_dict(state["scaler"])
        for stream, held in zip(self._streams, state["streams"], strict=True):
            stream.set_state(held.cpu())
        self.history = [EvaluationEpoch.model_validate_json(record) for record in state["history"]]

    def save_weights(self, file: IO[bytes]) -> None:
        """Write the network's state dict, on the CPU: tensors alone, so that nothing has to be unpickled blindly."""
        torch.save({name: tensor.cpu() for name, tensor in self.network.state_dict().items()}, file)


def network_to_train(
    genotype: Genotype, config: ResolvedEvaluateConfig, n_classes: int, in_channels: int
) -> DerivedNetwork:
    """The network that an evaluation trains, with fresh weights on torch's default device."""
    network = DerivedNetwork(
        genotype,
        cells=config.cells,
        channels=config.channels,
        n_classes=n_classes,
        in_channels=in_channels,
        auxiliary=config.auxiliary.weight > 0,
        stem=config.stem,
    )
    network.checkpoint_cells = config.runtime.checkpoint_cells
    network.paths_together = config.runtime.paths_together == "on"
    return network


def _seed(config: EvaluateConfig, stream: Stream) -> int:
    return integer_seed(config.seed, 0, 0, stream)
