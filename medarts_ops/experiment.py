"""The travelling values of an experiment: what is compared, each training of it and what came of it; and its events.

An experiment trains the same things with several seeds, so that a claim rests on more than one number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from medarts_ops.config import DatasetConfig, ResolvedEvaluateConfig, ResolvedSearchConfig
from medarts_ops.errors import ConfigError
from medarts_ops.individual import FailureCause
from medarts_ops.observers import DatasetSummary, JobEvent, JobStopped, Observer, ProcessStarted
from medarts_ops.space.genotype import Genotype
from medarts_ops.value import Value

ExperimentKind = Literal["table3", "table4", "fig5", "fig6", "sweep"]
Scale = Literal["paper", "small", "own"]
"""`paper`: its own sizes; `small`: sizes that end within minutes; `own`: whatever the settings say, as a sweep's."""

TEST_ERROR, PARAMETERS = "test_error", "parameters"
"""What is measured of an evaluation: the last epoch's test error in 0…1, and the network's parameters."""


class Source(Value):
    """Where a genotype was found: the individual of a search, and that one's run in the store."""

    search: str | None
    individual: str | None
    run_id: str


class Arm(Value):
    """One of the things compared, trained once with each seed of the experiment.

    First it is searched, where `search` is given; then trained at full size, where `evaluation` is: its `genotype`, or
    what the search found. The seeds in both are replaced.

    Attributes:
        name: unique in the experiment, and a part of its jobs' names.
        subject: what is compared, such as a network or a setting; the same in each `condition`.
        condition: what it is trained under, such as `16×16`; empty where there is one condition alone.
        description: more of it, in words.
        fingerprint: of its images, whose summary is in the plan.
        method: how its genotype was found, in Table III's words.
        search_seconds: what finding it cost, where that is known beforehand.
        published_as: the row of the paper's table that has a published figure of it.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,59}$")]
    subject: str
    condition: str = ""
    description: str = ""
    fingerprint: str
    search: ResolvedSearchConfig | None = None
    evaluation: ResolvedEvaluateConfig | None = None
    genotype: Genotype | None = None
    source: Source | None = None
    method: str | None = None
    search_seconds: float | None = None
    published_as: str | None = None

    @property
    def dataset(self) -> DatasetConfig:
        """Which images `fingerprint` is of."""
        config = self.evaluation or self.search
        assert config is not None, "an arm has something to train"
        return config.dataset

    @model_validator(mode="after")
    def _trains_on_one_device(self) -> Self:
        devices = 1 if self.evaluation is None else self.evaluation.runtime.devices
        if devices > 1:
            raise ConfigError(
                f"runtime.devices of arm {self.name!r} is {devices}: an experiment trains its evaluations side by side "
                "(--workers, --executor ray), allowed is 1; `medarts evaluate` takes more"
            )
        return self

    @model_validator(mode="after")
    def _has_what_is_trained(self) -> Self:
        if self.search is None and (self.evaluation is None or self.genotype is None):
            raise ConfigError(f"arm {self.name!r} has nothing to train: it needs a search, or an evaluation's genotype")
        return self


class Training(Value):
    """One training of an experiment, a job of its own: an arm's search, or its evaluation, with one seed."""

    kind: Literal["search", "evaluation"]
    arm: Arm
    seed: int

    @property
    def key(self) -> str:
        """Unique within the experiment: `g_init.s0`, and `first.s0.search` for a search."""
        return f"{self.arm.name}.s{self.seed}" + (".search" if self.kind == "search" else "")

    @property
    def search_config(self) -> ResolvedSearchConfig:
        """The settings of the search."""
        assert self.arm.search is not None, "the training is a search"
        return self.arm.search.model_copy(update={"seed": self.seed})

    @property
    def evaluate_config(self) -> ResolvedEvaluateConfig:
        """The settings of the evaluation."""
        assert self.arm.evaluation is not None, "the training is an evaluation"
        return self.arm.evaluation.model_copy(update={"seed": self.seed})

    @property
    def found_by(self) -> Training | None:
        """The search of this experiment that an evaluation takes its genotype from; None if that was given."""
        if self.kind == "search" or self.arm.search is None:
            return None
        return self.model_copy(update={"kind": "search"})


class ExperimentPlan(Value):
    """All that an experiment trains: each arm with each seed. `workers` evaluations are trained side by side.

    Attributes:
        fresh: whether equal trainings of before are left alone.
        datasets: the arms' images by fingerprint.
        notes: sentences that a reader of the result needs.
        command: the line that makes the same plan, where there is one.
    """

    kind: ExperimentKind
    scale: Scale
    seeds: tuple[int, ...]
    arms: tuple[Arm, ...]
    datasets: dict[str, DatasetSummary]
    workers: int = 1
    fresh: bool = False
    notes: tuple[str, ...] = ()
    command: str = ""

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        for what, given in (("arm", [arm.name for arm in self.arms]), ("seed", [str(seed) for seed in self.seeds])):
            if len(set(given)) < len(given) or not given:
                raise ConfigError(f"an experiment has each {what} once, and one at least: got {', '.join(given)}")
        return self

    @model_validator(mode="after")
    def _images_are_there(self) -> Self:
        lacking = [arm.name for arm in self.arms if arm.fingerprint not in self.datasets]
        if lacking:
            raise ConfigError(f"an experiment has the images of each arm: those of {', '.join(lacking)} are missing")
        return self

    @property
    def trainings(self) -> tuple[Training, ...]:
        """In the order in which they are done: all searches first; seed by seed, so that all arms have equally many."""
        searches = [(arm, seed) for seed in self.seeds for arm in self.arms if arm.search is not None]
        evaluations = [(arm, seed) for seed in self.seeds for arm in self.arms if arm.evaluation is not None]
        return (
            *(Training(kind="search", arm=arm, seed=seed) for arm, seed in searches),
            *(Training(kind="evaluation", arm=arm, seed=seed) for arm, seed in evaluations),
        )

    @property
    def remarks(self) -> tuple[str, ...]:
        """What was left out of its images, once each."""
        return tuple(dict.fromkeys(remark for dataset in self.datasets.values() for remark in dataset.remarks))

    @property
    def repeated(self) -> dict[str, str]:
        """Evaluations of genotypes that were given, which are equal to an earlier one: their keys to that one's.

        They are not trained: what the first comes to stands for all.
        """
        first: dict[tuple[object, ...], str] = {}
        found = {}
        for training in self.trainings:
            arm = training.arm
            if training.kind == "evaluation" and arm.genotype is not None:
                equal = (arm.genotype, arm.fingerprint, training.evaluate_config.model_dump_json(exclude={"preset"}))
                if first.setdefault(equal, training.key) != training.key:
                    found[training.key] = first[equal]
        return found


class FinishedTraining(Value):
    """What a training came to.

    `measures` of an evaluation are `test_error` (in 0…1), `best_test_error`, where each epoch was tested, and
    `parameters`; of a search the objectives of what it found. `seconds` is the time of training. `taken_from` is the
    run of an equal training of before that this is, where it was not trained anew; `same_as` the key of an equal
    training of this experiment.
    """

    key: str
    measures: dict[str, float]
    seconds: float
    genotype: Genotype
    taken_from: str | None = None
    same_as: str | None = None

    @property
    def is_own(self) -> bool:
        """Whether it was trained for itself."""
        return self.taken_from is None and self.same_as is None


class FailedTraining(Value):
    """A training that came to nothing: the others go on."""

    key: str
    reason: str
    cause: FailureCause


TrainingOutcome = FinishedTraining | FailedTraining


class ExperimentResult(Value):
    """A finished experiment; outcomes in the order of `plan.trainings`, missing those that were not done yet."""

    name: str
    plan: ExperimentPlan
    outcomes: tuple[TrainingOutcome, ...]

    def of_arm(self, arm: Arm, kind: Literal["search", "evaluation"]) -> Mapping[int, FinishedTraining]:
        """The finished trainings of an arm by seed, in the seeds' order."""
        finished = {one.key: one for one in self.finished}
        keys = {seed: Training(kind=kind, arm=arm, seed=seed).key for seed in self.plan.seeds}
        return {seed: finished[key] for seed, key in keys.items() if key in finished}

    @property
    def finished(self) -> tuple[FinishedTraining, ...]:
        """Those that came to something."""
        return tuple(one for one in self.outcomes if isinstance(one, FinishedTraining))

    @property
    def taken_over(self) -> dict[str, str]:
        """From the key of each training that was taken over from before to its run."""
        return {one.key: one.taken_from for one in self.finished if one.taken_from is not None}

    @property
    def failed(self) -> tuple[FailedTraining, ...]:
        """Those that came to nothing."""
        return tuple(one for one in self.outcomes if isinstance(one, FailedTraining))


class ExperimentStarted(JobEvent):
    kind: Literal["experiment_started"] = "experiment_started"
    plan: ExperimentPlan


class TrainingFinished(JobEvent):
    """A training is over, whatever it came to."""

    place = ("outcome.key",)
    kind: Literal["training_finished"] = "training_finished"
    outcome: TrainingOutcome


class TrainingUnreadable(JobEvent):
    """A training that was begun can't go on, since its journal can't be read; once that is mended it still may."""

    place = ("outcome.key",)
    kind: Literal["training_unreadable"] = "training_unreadable"
    outcome: FailedTraining


class ExperimentFinished(JobEvent):
    job_state = "finished"
    kind: Literal["experiment_finished"] = "experiment_finished"


class ExperimentStopped(JobStopped):
    kind: Literal["experiment_stopped"] = "experiment_stopped"


ExperimentEvent = Annotated[
    ExperimentStarted | ProcessStarted | TrainingFinished | TrainingUnreadable | ExperimentFinished | ExperimentStopped,
    Field(discriminator="kind"),
]

ExperimentObserver = Observer[ExperimentEvent]  # someone who is told what happens in an experiment
