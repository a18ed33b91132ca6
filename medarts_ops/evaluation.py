"""Full-size training of one genotype, as a job: the paper's architecture evaluation (IV.C)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from medarts_ops.config import EvaluateConfig, ResolvedEvaluateConfig
from medarts_ops.data.dataset import ImageDataset
from medarts_ops.data.registry import load_dataset
from medarts_ops.deadline import seconds_left
from medarts_ops.errors import SearchError, TrainingDiverged
from medarts_ops.executors.local import LocalExecutor
from medarts_ops.executors.protocol import Executor
from medarts_ops.executors.registry import build_executor
from medarts_ops.fitting import fitted_evaluation
from medarts_ops.individual import EvaluationEpoch, EvaluationResult
from medarts_ops.journal.checkpoint import CheckpointFile
from medarts_ops.journal.evaluation_folder import CHECKPOINT, STARTED, WEIGHTS, is_written, write_result, write_started
from medarts_ops.journal.job import Job, check_images, new_job, resumed_job, tell_again
from medarts_ops.journal.kinds import EVALUATION
from medarts_ops.networks.counting import count_parameters
from medarts_ops.observers import (
    DatasetSummary,
    EvaluationEpochFinished,
    EvaluationEvent,
    EvaluationFinished,
    EvaluationObserver,
    EvaluationStarted,
)
from medarts_ops.reproducibility import process_started
from medarts_ops.resolving import on_devices, resolve_evaluation
from medarts_ops.space.genotype import Genotype
from medarts_ops.training.genotype import (
    EvaluationBegun,
    EvaluationOutcome,
    EvaluationProgress,
    EvaluationTask,
    FailedEvaluation,
)

_logger = logging.getLogger(__name__)


def run_evaluation(
    config: EvaluateConfig,
    genotype: Genotype,
    *,
    dataset: ImageDataset | None = None,
    folder: str | Path | None = None,
    observers: Sequence[EvaluationObserver] = (),
    executor: Executor | None = None,
) -> EvaluationResult:
    """Train the network of `genotype` as `config` says; the test error of the last epoch is the result.

    Args:
        dataset: what `load_dataset(config.dataset)` gave, where the caller has it already.
        folder: one of the evaluation's own, made where it is missing, for a journal, a checkpoint after each epoch, and
            the result and the trained weights (`weights.pt`) at the end; None keeps none of them.
        observers: told of the start, of every epoch and of the end.
        executor: where it is trained, with that executor's runtime; in this process by default. Closed at the end.

    Raises:
        MedartsError: bad settings, bad data, more memory than is free (`runtime.memory`), or a loss that diverged.
    """
    folder = None if folder is None else Path(folder)
    resolved, dataset = resolve_evaluation(config, dataset)
    summary = dataset.summary(None)
    started = evaluation_started(fitted_evaluation(resolved, genotype, summary), genotype, summary)
    with new_job(EVALUATION, folder, observers) as job:
        return _carry_out(job, started, dataset, executor, started.config)


def evaluation_started(
    config: ResolvedEvaluateConfig, genotype: Genotype, dataset: DatasetSummary
) -> EvaluationStarted:
    """How the evaluation of a genotype begins, with its number of parameters."""
    parameters = count_parameters(
        genotype,
        cells=config.cells,
        channels=config.channels,
        n_classes=len(dataset.class_names),
        in_channels=dataset.in_channels,
        stem=config.stem,
    )
    return EvaluationStarted(config=config, genotype=genotype, parameters=parameters, dataset=dataset)


def resume_evaluation(
    folder: str | Path,
    *,
    observers: Sequence[EvaluationObserver] = (),
    executor: Executor | None = None,
    devices: int | None = None,
) -> EvaluationResult:
    """Go on with an evaluation after its last whole epoch; the start and the epochs so far are told once more.

    One that is finished is only told again. Arguments are those of `run_evaluation`; observers bear an event that is
    told twice. `devices` are how many go on with it, instead of as many as it began with.

    Raises:
        SearchError: there is no evaluation in the folder, or another process works on it.
        DataError: the images are not those that it began with.
        MedartsError: as for `run_evaluation`.
    """
    folder = Path(folder)
    with resumed_job(EVALUATION, folder, observers) as job:
        started, finished = job.journal.started, job.journal.find(EvaluationFinished)
        if finished is not None:
            if not is_written(folder):  # the journal is the truth; exports read the files
                write_started(folder, started)
                write_result(folder, finished.result)
            CheckpointFile(folder / CHECKPOINT).delete()  # a crash may have come between the result and this
            tell_again(job.journal, folder, observers)
            return finished.result
        dataset = load_dataset(started.config.dataset)
        check_images(f"evaluation {folder.name!r}", started.dataset, dataset.summary(None))
        config = started.config if devices is None else on_devices(started.config, devices)
        return _carry_out(job, started, dataset, executor, config)


def _carry_out(
    job: Job[EvaluationEvent, EvaluationStarted],
    started: EvaluationStarted,
    dataset: ImageDataset,
    executor: Executor | None,
    computing: ResolvedEvaluateConfig,
) -> EvaluationResult:
    _logger.info("the evaluation computes with %s", computing.runtime)
    executor = executor or _executor_of(computing, dataset)
    work = EvaluationAtWork(job, started, computing)
    with closing(executor):
        (outcome,) = executor.run([work.task], lambda _, progress: work.on_progress(progress))
    return work.finish(outcome)


def _executor_of(config: ResolvedEvaluateConfig, dataset: ImageDataset) -> Executor:
    if config.runtime.devices > 1:
        from medarts_ops.executors.on_devices import DevicesExecutor  # a training on one device needs no launcher

        return DevicesExecutor(config.runtime)
    if config.runtime.executor == "auto":
        return LocalExecutor(config.runtime, dataset, source=config.dataset)
    return build_executor(config.runtime.side_by_side(1))


def evaluation_task(started: EvaluationStarted, folder: Path | None, spent: float = 0.0) -> EvaluationTask:
    """The training of an evaluation whose folder this is, for an executor; it names it as the folder is named.

    `spent` seconds of its budget, if it has one, went to earlier processes.
    """
    return EvaluationTask(
        name="evaluation" if folder is None else folder.name,
        started=started,
        checkpoint=None if folder is None else str(folder / CHECKPOINT),
        weights=None if folder is None else str(folder / WEIGHTS),
        seconds=seconds_left(started.config.runtime.budget, spent),
    )


class EvaluationAtWork:
    """An evaluation whose `task` an executor has, alone or beside others: what comes of it goes into its job.

    `computing` are its settings where this process computes otherwise than it began.
    """

    def __init__(
        self,
        job: Job[EvaluationEvent, EvaluationStarted],
        started: EvaluationStarted,
        computing: ResolvedEvaluateConfig | None = None,
    ) -> None:
        self._job, self._started = job, started
        self._computing = started.config if computing is None else computing
        self.task = evaluation_task(started, job.folder, job.journal.seconds_at_work)

    def on_progress(self, progress: EvaluationProgress) -> None:
        """Take note of how far the training is."""
        job = self._job
        match progress:
            case EvaluationBegun(mean=mean, std=std):  # not before the network is known to fit
                begun = self._started.model_copy(update={"mean": mean, "std": std})
                if job.folder is not None and not (job.folder / STARTED).exists():
                    write_started(job.folder, begun)
                job.begin(begun)
                job.notify(process_started(self._computing, begun.dataset))
            case EvaluationEpoch():
                job.notify(EvaluationEpochFinished(record=progress))

    def finish(self, outcome: EvaluationOutcome) -> EvaluationResult:
        """Take note of its end.

        Raises:
            TrainingDiverged: its loss did.
            SearchError: it failed otherwise.
        """
        job = self._job
        if isinstance(outcome, FailedEvaluation):
            raise TrainingDiverged(outcome.reason) if outcome.cause == "diverged" else SearchError(outcome.reason)
        if job.folder is not None:
            write_result(job.folder, outcome.result)
        weights_file = None if job.folder is None else WEIGHTS
        job.notify(EvaluationFinished(result=outcome.result, weights_file=weights_file))
        if job.folder is not None:
            CheckpointFile(job.folder / CHECKPOINT).delete()
        return outcome.result
