"""The words of the stores: kinds of run, kinds of job, tags, keys, artifacts and metrics, each once.

What a store holds is read by other releases, other programs and people's own filters: a word here is never changed,
only added.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

RunKind = Literal["experiment", "search", "stage", "individual", "evaluation"]
"""What a run stands for."""

JobKind = Literal["search", "evaluation", "experiment"]
"""What a job is: whatever has a name, a folder and a run of its own. Stages and individuals are parts of a search."""

TRAINED_KINDS: frozenset[RunKind] = frozenset({"individual", "evaluation"})
"""The kinds of run that have epochs."""

RunStatus = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]
"""MLflow's words for how a run stands."""

EXPERIMENT = "medarts"
"""The experiment that new jobs go to unless another is named."""

# Tags of every run

KIND_TAG = "medarts.kind"  # what the run stands for
KEY_TAG = "medarts.key"  # what the run stands for within its job: one of the keys below
VERSION_TAG = "medarts.version"  # the release that made the run
TORCH_VERSION_TAG = "medarts.torch_version"  # the torch that it ran with
FAILURE_TAG = "medarts.failure"  # why it failed or stopped
FAILURE_CAUSE_TAG = "medarts.failure_cause"  # the kind of that reason
PRUNED_TAG = "medarts.pruned"  # why an individual was ended before its stage was; its run is KILLED
FAILED_EPOCH_TAG = "medarts.failed_epoch"  # the epoch in which an individual failed
STOPPED_TAG = "medarts.stopped"  # marks a run that ended only because its job stopped; a resumed job opens it again
DIVERGED_TAG = "medarts.diverged"  # marks a run of which a number was not finite, and so is no metric

# Tags of jobs

SEARCH_TAG = "medarts.search_id"  # a search's name, on all runs of the search
EVALUATION_TAG = "medarts.evaluation_id"  # an evaluation's name; it stands in no search's list of runs
EXPERIMENT_TAG = "medarts.experiment_id"  # the name of an experiment over seeds, which is none of MLflow's
DATASET_TAG = "medarts.dataset"  # the name of the dataset
FINGERPRINT_TAG = "medarts.fingerprint"  # a hash of the images that a search or an evaluation was given
CHOSEN_BY_TAG = "medarts.chosen_by"  # by which rule a search chose the one that it found
CUT_TAG = "medarts.cut"  # what ended early since the time (runtime.budget) was over, a line each
EVALUATE_SETTINGS_TAG = "medarts.evaluate_settings"  # JSON of what evaluations of a search begin from, if anything
BEST_TAG = "medarts.best_run_id"  # the run of a search's or a stage's best individual
EVALUATES_TAG = "medarts.evaluates"  # the run whose genotype an evaluation trains

# Tags of a version in MLflow's registry of models, beside those of its evaluation

TEST_ERROR_TAG = "medarts.test_error"  # the evaluation's test error, in 0…1

# Tags of experiments and their trainings

EXPERIMENT_KIND_TAG = "medarts.experiment_kind"  # which table or figure of the paper it makes, or a sweep
ARM_TAG = "medarts.arm"  # of a training: which of the things compared it trains

# Tags of stages and individuals

STAGE_TAG = "medarts.stage"  # the name of the stage
WARNINGS_TAG = "medarts.warnings"  # of a stage: why its ranking means nothing, a line each
SURVIVORS_TAG = "medarts.survivors"  # the runs of those that a stage began with, comma-separated
INDIVIDUAL_TAG = "medarts.individual"  # the individual's id within its search
ORIGIN_TAG = "medarts.origin"  # how the individual came to be: random, inherited, or the operator that made it
SKIPS_TAG = "medarts.skips_set_aside"  # the skip-connections that max_skips left out of its normal cell
TAKEN_FROM_TAG = "medarts.taken_from"  # whose α and genotype it goes on with, if not those of its last epoch
PARENTS_TAG = "medarts.parents"  # the runs of its genetic parents, comma-separated; the first gave the normal cell
SELECTED_TAG = "medarts.selected"  # marks an individual that went on to the next stage
FRONT_TAG = "medarts.front"  # the number of its front in the stage's ranking
CROWDING_TAG = "medarts.crowding"  # its crowding distance, which may be infinite and so is no metric
GENOTYPE_TAG = "medarts.genotype_hash"  # equal for equal genotypes; of evaluations, too

# MLflow's own tags that we set or read

PARENT_TAG = "mlflow.parentRunId"  # the run that MLflow shows this one below
NOTE_TAG = "mlflow.note.content"  # the text on top of a run's page, or of an experiment's
EXPERIMENT_PURPOSE_TAG = "mlflow.experimentKind"  # of an experiment of MLflow's: what it is for

# Attributes of Optuna's studies and trials

CONTRACT = "medarts.contract"  # of a study of proposals: the settings that its values depend on
PROPOSAL = "medarts.proposal"  # of a trial: `<search id>/<round>/<place in the round>`, which it was proposed for
DRAWN_ROUND = "medarts.round"  # of a study, with `/<search id>/<round>` behind it: the round's proposals, all at once

# Keys of runs within a job, whose own has the job's kind for a key

INDIVIDUAL_PREFIX = "individual/"  # what the keys of individuals begin with


def stage_key(index: int) -> str:
    """`stage/0`."""
    return f"stage/{index}"


def individual_key(individual_id: str) -> str:
    """`individual/init-03`."""
    return f"{INDIVIDUAL_PREFIX}{individual_id}"


class JobWords(NamedTuple):
    """What is written and looked for of one kind of job.

    Attributes:
        name_tag: the tag that holds the job's name, by which its runs are found.
        command: what begins such a job, as MLflow shows a run's source.
        chosen_tag: the tag that names the run of the individual that such a job stands for; None where it stands for
            no individual, and so has no genotype.
        nameless: what is said of a run of such a job that has no `name_tag`.
        parts: the kinds of run that are parts of the job, those below others first.
        is_given_a_genotype: whether it has its genotype from the start, and so before it is finished.
    """

    name_tag: str
    command: str
    chosen_tag: str | None
    nameless: str
    parts: tuple[RunKind, ...] = ()
    is_given_a_genotype: bool = False


JOBS: Mapping[JobKind, JobWords] = {
    "search": JobWords(
        name_tag=SEARCH_TAG,
        command="medarts search",
        chosen_tag=BEST_TAG,
        nameless="run {given!r} belongs to no search, so there is nothing to resume",
        parts=("individual", "stage"),
    ),
    "evaluation": JobWords(
        name_tag=EVALUATION_TAG,
        command="medarts evaluate",
        chosen_tag=EVALUATES_TAG,
        nameless="evaluation {run_id} was made by a release that could not resume: evaluate again",
        is_given_a_genotype=True,
    ),
    "experiment": JobWords(
        name_tag=EXPERIMENT_TAG,
        command="medarts reproduce",
        chosen_tag=None,
        nameless="run {given!r} is of an experiment and does not name it; mend its tag",
    ),
}
"""Every kind of job. A new one is an entry here, a recorder in `recorders.py`, and an entry in `cli/jobs.py`."""

JOB_OF_RUN: Mapping[str, JobKind] = {
    run_kind: kind for kind, words in JOBS.items() for run_kind in (kind, *words.parts)
}
"""The kind of job that a run of each kind is, or is a part of."""

# Artifacts

ALPHA = "alpha.json"  # trained α of an individual, and of the best one on a search
ALPHA_INITIAL = "alpha_initial.json"  # α at an individual's birth
ALPHA_EPOCHS = "alpha_epochs.json"  # α after each epoch that kept it
CONFIG = "config.json"  # all settings of a search or an evaluation
DATASET = "dataset.json"  # the dataset in words and numbers
GENOTYPE = "genotype.json"  # the genotype that a run found or trains, in DARTS's published form
MIXTURE_GENOTYPE = "genotype_mixture.json"  # what an individual's mixtures say, where its genotype was read otherwise
WORTH = "worth.json"  # how much an individual's loss rises without each operation, and without each edge
CONFUSION = "confusion.json"  # what an evaluated network takes for what, and how well each class is told
HISTORY = "history.json"  # a table of epochs
PLAN = "plan.json"  # all that an experiment trains
OUTCOMES = "outcomes.json"  # what each training of an experiment came to
TABLE = "table.json"  # what an experiment came to: its table, statistics and figure
LINEAGE = "lineage.json"  # the individual that a search found, and all its ancestors
POPULATION = "population.json"  # a stage's ranking
REPORT = "report.html"  # a search, or an experiment, on one page
PICTURES = "pictures"  # the folder of pictures
RECORDS = "reproducibility"
"""The folder of records of how a process came to its numbers, one for each process that worked on the run."""

# Metrics that are written in one place and read in another

ACCURACY = "accuracy"  # the objective by which pages sort individuals
PARAMS = "params"  # parameters of a network at full size
FRONT = "front"  # of an individual, as a number
BEST_ACCURACY = "best_accuracy"  # of a stage: its best individual's
HYPERVOLUME = "hypervolume"  # of a stage, in units of its own search's first stage
TEST_ERROR = "test_error"  # of an evaluation, in 0…1
BEST_TEST_ERROR = "best_test_error"  # the lowest of any epoch, which was chosen on the test set
TEST_LOSS = "test_loss"  # of an evaluation, the mean cross-entropy
BALANCED_ACCURACY = "balanced_accuracy"  # of an evaluation: the mean of its classes' recalls, in 0…1
CALIBRATION_ERROR = "ece"  # of an evaluation: the expected calibration error, in 0…1
RECALL, PRECISION = "recall.", "precision."  # of an evaluation, before the name of a class
EPOCH_SECONDS = "epoch_seconds"  # what an epoch took; every epoch has it, whatever became of its loss
DISCRETIZED_ACCURACY = "discretized_accuracy"  # of an individual: of its genotype's own paths in its supernet, in 0…1
DISCRETIZED_LOSS = "discretized_loss"  # likewise, the mean cross-entropy
SECONDS = "seconds"  # what an individual's training took
DERIVED_SECONDS = "derived_seconds"  # what the short training of its genotype took, of which a search has one
DERIVED_CURVE = "derived_"  # before the numbers of each epoch of that training
HOURS = "hours"  # what a search, a stage or an evaluation took
FAILED_TRAININGS = "failed_trainings"  # of an experiment: how many of its trainings came to nothing
CPU_HOURS, GPU_HOURS = "cpu_hours", "gpu_hours"  # a search's hours by the device that it ran on
