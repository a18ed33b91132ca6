"""Full-size training of one derived network on the standard data (DARTS's setting, paper IV.C)."""

from __future__ import annotations

import math
import time
from typing import IO, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from medarts_ops.config import EvaluateConfig, ResolvedEvaluateConfig
from medarts_ops.data.augment import Augmentation
from medarts_ops.data.batches import Batch, batch_order
from medarts_ops.data.dataset import ImageDataset
from medarts_ops.data.evaluation_images import evaluation_images
from medarts_ops.data.proxy import channel_statistics
from medarts_ops.errors import ConfigError, TrainingDiverged
from medarts_ops.individual import EvaluationEpoch
from medarts_ops.networks.derived import DerivedNetwork, least_batch
from medarts_ops.networks.layout import check_stem
from medarts_ops.seeds import Stream, integer_seed
from medarts_ops.space.genotype import Genotype
from medarts_ops.training.placed_images import PlacedImages, hits
from medarts_ops.training.runtime import Runtime, initial_weights
from medarts_ops.training.weight_steps import SCHEDULES, accumulated, clipped_update, warmed_up


def check_network(config: ResolvedEvaluateConfig, resolution: tuple[int, int]) -> None:
    """Refuse, by a ConfigError, images that a network is no match for, and fewer of them a step than it takes."""
    check_stem(config.stem, config.channels, resolution)
    least = least_batch(auxiliary=config.auxiliary.weight > 0, stem=config.stem)
    if config.batch < least:
        raise ConfigError(
            f"batch is {config.batch} and auxiliary.weight {config.auxiliary.weight:g}: the auxiliary head's norm "
            f"takes {least} images a step or more; raise batch or set auxiliary.weight=0"
        )


class SupervisedTraining:
    """A network in training, with all that it needs; `statistics`, of its training images, normalise all."""

    def __init__(
        self, genotype: Genotype, config: ResolvedEvaluateConfig, dataset: ImageDataset, runtime: Runtime
    ) -> None:
        check_network(config, dataset.resolution)
        self._config, self._runtime = config, runtime
        with initial_weights(_seed(config, Stream.WEIGHTS)):
            network = DerivedNetwork(
                genotype,
                cells=config.cells,
                channels=config.channels,
                n_classes=dataset.n_classes,
                in_channels=dataset.in_channels,
                auxiliary=config.auxiliary.weight > 0,
                stem=config.stem,
            )
        self.network = runtime.place(network)
        self._optimizer = torch.optim.SGD(
            self.network.parameters(),
            lr=config.weights.lr,
            momentum=config.weights.momentum,
            weight_decay=config.weights.weight_decay,
            fused=runtime.fused_optimizers(),
        )
        self._scaler = runtime.gradient_scaler()
        train = evaluation_images(dataset, config)
        self.statistics = channel_statistics(train.images)
        self._train, self._test = (
            PlacedImages.place(part.images, part.labels, *self.statistics, runtime) for part in (train, dataset.test)
        )
        self._augmentation = Augmentation.from_config(config.augment, dataset.resolution)
        self._order = torch.Generator().manual_seed(_seed(config, Stream.WEIGHT_BATCHES))
        self._augment_stream = runtime.generator(_seed(config, Stream.AUGMENTATION))
        self._drop_stream = runtime.generator(_seed(config, Stream.DROP_PATH))
        self._streams = (self._order, self._augment_stream, self._drop_stream)
        self.history: list[EvaluationEpoch] = []

    def run_epoch(self, epoch: int) -> EvaluationEpoch:
        """One pass over the training images, then the test set; TrainingDiverged if a loss became NaN or infinite."""
        started = time.perf_counter()
        config, lr = self._config, self._rate(epoch)
        self._optimizer.param_groups[0]["lr"] = lr
        # Rises linearly from 0, as DARTS writes it: the last epoch has not quite the full probability.
        drop = config.drop_path * epoch / config.epochs
        self.network.train()
        loss_sum, correct = (torch.zeros((), device=self._runtime.device) for _ in range(2))
        batches = batch_order(len(self._train), config.batch, self._order, self.network.least_batch)
        for indices, share, is_last in accumulated(batches, config.accumulate):
            batch = self._train.augmented(indices, self._augmentation, self._augment_stream)
            loss, right = self.step(batch, drop, share, is_last=is_last)
            loss_sum += loss * len(indices)
            correct += right
        trained = time.perf_counter()
        self.network.eval()
        every = torch.arange(len(self._test))
        test_loss, test_hits = self._test.measure(lambda images: self.network(images)[0], every, self._config.batch)
        sums = torch.stack([loss_sum, correct, test_loss, test_hits]).tolist()  # the epoch's only wait for the device
        if not math.isfinite(sums[0]) or not math.isfinite(sums[2]):
            raise TrainingDiverged(
                f"evaluation, epoch {epoch}: the loss became NaN or infinite; lower weights.lr or set runtime.amp=off"
            )
        n_train, n_test = len(self._train), len(self._test)
        record = EvaluationEpoch(
            epoch=epoch,
            train_loss=sums[0] / n_train,
            train_accuracy=sums[1] / n_train,
            test_loss=sums[2] / n_test,
            test_error=1 - sums[3] / n_test,
            lr=lr,
            drop_path=drop,
            seconds=time.perf_counter() - started,
            images_per_second=n_train / max(trained - started, 1e-9),
        )
        self.history.append(record)
        return record

    def _rate(self, epoch: int) -> float:
        config, weights = self._config, self._config.weights
        falling = SCHEDULES[weights.schedule](weights.lr, weights.lr_min, epoch, config.epochs)
        return warmed_up(falling, weights.lr, epoch, config.warmup_epochs)

    def step(self, batch: Batch, drop: float, share: float = 1.0, *, is_last: bool = True) -> tuple[Tensor, Tensor]:
        """A step of the weights, or the `share` of one that a batch has: its last batch steps them.

        Returns the classifier's mean loss and its hits, without waiting for the device.
        """
        smoothing = self._config.label_smoothing
        with self._runtime.autocast():
            logits, auxiliary = self.network(batch.images, drop, self._drop_stream)
            main = loss = F.cross_entropy(logits, batch.labels, label_smoothing=smoothing)
            if auxiliary is not None:
                of_auxiliary = F.cross_entropy(auxiliary, batch.labels, label_smoothing=smoothing)
                loss = loss + self._config.auxiliary.weight * of_auxiliary
        self._scaler.scale(loss * share).backward()
        if is_last:
            clipped_update(self._optimizer, self._scaler, self._config.weights.grad_clip)
            self._optimizer.zero_grad(set_to_none=True)
        return main.detach().float(), hits(logits, batch.labels)

    def state(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
            "streams": [stream.get_state() for stream in self._streams],
            "history": [record.model_dump_json() for record in self.history],
        }

    def load_state(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._scaler.load_state_dict(state["scaler"])
        for stream, held in zip(self._streams, state["streams"], strict=True):
            stream.set_state(held.cpu())
        self.history = [EvaluationEpoch.model_validate_json(record) for record in state["history"]]

    def save_weights(self, file: IO[bytes]) -> None:
        """Write the network's state dict, on the CPU: tensors alone, so that nothing has to be unpickled blindly."""
        torch.save({name: tensor.cpu() for name, tensor in self.network.state_dict().items()}, file)


def _seed(config: EvaluateConfig, stream: Stream) -> int:
    return integer_seed(config.seed, 0, 0, stream)
