"""Train in this process, one task after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from medarts_ops.config_runtime import ResolvedSearchRuntime
from medarts_ops.data.stage_data import StageData
from medarts_ops.individual import Outcome, TrainingTask
from medarts_ops.training.group import EpochCallback, train_group
from medarts_ops.training.placed_images import StageTensors
from medarts_ops.training.runtime import Runtime


class LocalExecutor:
    """Keeps the images of the stage at work on the device, for all of its individuals."""

    def __init__(self, config: ResolvedSearchRuntime) -> None:
        self._runtime = Runtime.from_config(config)
        self._path: str | None = None
        self._tensors: StageTensors | None = None

    def run(self, tasks: Sequence[TrainingTask], on_epoch: EpochCallback) -> Iterator[Outcome]:
        """Train in the tasks' order."""
        self._runtime.apply_to_process()
        for task in tasks:
            tensors = self._stage_tensors(task.stage_data)
            yield from train_group(task, tensors, self._runtime, on_epoch)

    def close(self) -> None:
        """Let go of the images."""
        self._tensors = self._path = None

    def _stage_tensors(self, path: str) -> StageTensors:
        if self._tensors is None or self._path != path:
            self._tensors = None  # free the last stage's images before the next ones come
            self._tensors = StageTensors.place(StageData.load(Path(path)), self._runtime)
            self._path = path
        return self._tensors
