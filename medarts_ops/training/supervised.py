"""Full-size training of one derived network on the standard data (DARTS's setting, paper IV.C)."""

from __future__ import annotations

import math
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from medarts_ops.config import EvaluateConfig
from medarts_ops.data.augment import Augmentation, plain_batch, training_batch
from medarts_ops.data.batches import batch_order
from medarts_ops.data.dataset import ImageDataset, LabelledImages
from medarts_ops.data.proxy import channel_statistics
from medarts_ops.errors import TrainingDiverged
from medarts_ops.individual import EvaluationEpoch
from medarts_ops.networks.derived import DerivedNetwork
from medarts_ops.seeds import Stream, integer_seed
from medarts_ops.space.genotype import Genotype
from medarts_ops.training.runtime import Runtime, initial_weights

TEST_BATCH = 256


class SupervisedTraining:
    """A network in training: weights, optimizer, schedule, random streams, images on the device."""

    def __init__(self, genotype: Genotype, config: EvaluateConfig, dataset: ImageDataset, runtime: Runtime) -> None:
        self._config, self._runtime = config, runtime
        with initial_weights(_seed(config, Stream.WEIGHTS)):
            network = DerivedNetwork(
                genotype,
                cells=config.cells,
                channels=config.channels,
                n_classes=dataset.n_classes,
                in_channels=dataset.in_channels,
                auxiliary=config.auxiliary.weight > 0,
            )
        self.network = runtime.place(network)
        self._optimizer = torch.optim.SGD(
            self.network.parameters(),
            lr=config.weights.lr,
            momentum=config.weights.momentum,
            weight_decay=config.weights.weight_decay,
            fused=runtime.fused_optimizers(),
        )
        self._schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
            self._optimizer, T_max=config.epochs, eta_min=config.weights.lr_min
        )
        self._scaler = runtime.gradient_scaler()
        statistics = channel_statistics(dataset.train.images)
        self._mean, self._std = (torch.from_numpy(each).float().to(runtime.device) for each in statistics)
        self._train = _Placed(dataset.train, runtime)
        self._test = _Placed(dataset.test, runtime)
        self._augmentation = Augmentation.from_config(config.augment, dataset.resolution)
        self._order = torch.Generator().manual_seed(_seed(config, Stream.WEIGHT_BATCHES))
        self._augment_stream = runtime.generator(_seed(config, Stream.AUGMENTATION))
        self._drop_stream = runtime.generator(_seed(config, Stream.DROP_PATH))

    def run_epoch(self, epoch: int) -> EvaluationEpoch:
        """One pass over the training images, then the test set.

        Raises:
            TrainingDiverged: the loss became NaN or infinite.
        """
        started = time.perf_counter()
        lr = float(self._optimizer.param_groups[0]["lr"])
        # Rises linearly from 0, as DARTS writes it: the last epoch has not quite the full probability.
        drop = self._config.drop_path * epoch / self._config.epochs
        self.network.train()
        loss_sum, hits = (torch.zeros((), device=self._runtime.device) for _ in range(2))
        for indices in batch_order(len(self._train), self._config.batch, self._order):
            images, labels = self._train.take(indices)
            ready = training_batch(
                images,
                self._mean,
                self._std,
                self._augmentation,
                self._augment_stream,
                channels_last=self._runtime.channels_last,
            )
            loss, right = self._step(ready, labels, drop)
            loss_sum += loss * len(indices)
            hits += right
        self._schedule.step()
        trained = time.perf_counter()
        test_loss, test_hits = self._measure()
        sums = torch.stack([loss_sum, hits, test_loss, test_hits]).tolist()  # the epoch's only wait for the device
        if not math.isfinite(sums[0]) or not math.isfinite(sums[2]):
            raise TrainingDiverged(
                f"evaluation, epoch {epoch}: the loss became NaN or infinite; lower weights.lr or set runtime.amp=off"
            )
        n_train, n_test = len(self._train), len(self._test)
        return EvaluationEpoch(
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

    def save_weights(self, file: Path) -> None:
        """Write the network's state dict, on the CPU: tensors alone, so that nothing has to be unpickled blindly."""
        torch.save({name: tensor.cpu() for name, tensor in self.network.state_dict().items()}, file)

    def _step(self, images: Tensor, labels: Tensor, drop: float) -> tuple[Tensor, Tensor]:
        with self._runtime.autocast():
            logits, auxiliary = self.network(images, drop, self._drop_stream)
            main = F.cross_entropy(logits, labels)
            loss = main
            if auxiliary is not None:
                loss = loss + self._config.auxiliary.weight * F.cross_entropy(auxiliary, labels)
        self._optimizer.zero_grad(set_to_none=True)
        self._scaler.scale(loss).backward()
        self._scaler.unscale_(self._optimizer)
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self._config.weights.grad_clip)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        return main.detach().float(), (logits.detach().argmax(dim=1) == labels).sum()

    @torch.no_grad()
    def _measure(self) -> tuple[Tensor, Tensor]:
        """Summed loss and hits over the test set."""
        self.network.eval()
        loss, hits = (torch.zeros((), device=self._runtime.device) for _ in range(2))
        for indices in torch.arange(len(self._test)).split(max(TEST_BATCH, self._config.batch)):
            images, labels = self._test.take(indices)
            ready = plain_batch(images, self._mean, self._std, channels_last=self._runtime.channels_last)
            with self._runtime.autocast():
                logits, _ = self.network(ready)
                loss += F.cross_entropy(logits, labels, reduction="sum").float()
            hits += (logits.argmax(dim=1) == labels).sum()
        return loss, hits


class _Placed:
    """Labelled images on the device, or in pinned memory beside it."""

    def __init__(self, part: LabelledImages, runtime: Runtime) -> None:
        self._runtime = runtime
        self._images = runtime.place_images(part.images)
        self._labels = torch.from_numpy(part.labels).to(runtime.device)

    def __len__(self) -> int:
        return len(self._labels)

    def take(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Images and labels at `indices [image]` (on the host), on the device."""
        labels = self._labels[indices.to(self._runtime.device, non_blocking=True)]
        return self._runtime.take(self._images, indices), labels


def _seed(config: EvaluateConfig, stream: Stream) -> int:
    return integer_seed(config.seed, 0, 0, stream)
