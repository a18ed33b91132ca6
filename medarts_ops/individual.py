"""The values that travel through a search: individuals before and after training, stages, results."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Literal

from medarts_ops.alpha import Alpha
from medarts_ops.derived import DerivedTraining
from medarts_ops.errors import FailureCause as FailureCause
from medarts_ops.evaluated import Cut as Cut  # what time cut short, of an evaluation or a stage
from medarts_ops.evaluated import EvaluationEpoch as EvaluationEpoch  # one of the travelling values
from medarts_ops.evaluated import EvaluationResult as EvaluationResult
from medarts_ops.hyperparameters import Hyperparameters as Hyperparameters
from medarts_ops.quantities import counted
from medarts_ops.space.genotype import Genotype
from medarts_ops.value import Value
from medarts_ops.worth import Worth

ChildOrigin = Literal["crossover", "nodewise", "mutation", "consensus"]


class Individual(Value):
    """One supernet to be trained. α is drawn or inherited before training, so it is the same on every device.

    `stage` is the stage's index; `parents` are ids of individuals of the stage before: none for a random
    individual, one for an inherited one and for a mutant, two for a child of crossover (the first gave the normal cell)
    or of node-wise crossover, all survivors for their consensus. The first parent's are the hyperparameters.
    """

    id: str
    stage: int
    number: int
    origin: Literal["random", "inherited"] | ChildOrigin
    parents: tuple[str, ...]
    alpha: Alpha
    hyperparameters: Hyperparameters


def individual_id(stage_name: str, number: int) -> str:
    """`init-03`: unique within a search, and the name of the MLflow run."""
    return f"{stage_name}-{number:02d}"


class EpochRecord(Value):
    """What one epoch of one individual looked like. Losses are means over images, accuracies lie in 0…1.

    `train_*` is the weight half during the weight steps, `alpha_loss` the α half during the α steps (None
    while α warms up), `valid_accuracy` acc_valid in eval mode after the epoch. `max_mixture_*` is the mean
    over edges of the largest mixture weight: 1/8 when undecided, 1 when decided. `lr` is the weights'
    learning rate of this epoch. Skip counts are of the genotype that α gives after this epoch, within `max_skips`.
    `layer_alignment` is Λ after it (`training/alignment.py`), None with fewer than two normal cells.
    `alpha` is α after it, `genotype` what it says: kept where an individual is told to have finished, None wherever
    else the record is repeated, and in journals of releases that did not keep it.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    alpha_loss: float | None
    valid_loss: float
    valid_accuracy: float
    lr: float
    normal_skips: int
    reduce_skips: int
    max_mixture_normal: float
    max_mixture_reduce: float
    seconds: float
    images_per_second: float
    layer_alignment: float | None = None
    alpha: Alpha | None = None
    genotype: Genotype | None = None


class TrainedIndividual(Value):
    """An individual after search training: `alpha` is the trained one, `individual.alpha` the one at birth.

    α, genotype and acc_valid are those after `epoch`, from 0, which is the last unless epochs are candidates (None in
    journals of earlier releases: the last). `derived` is the short training of the genotype, where an objective asks.
    `skips_set_aside` are the (input, node) of the normal cell's skip-connections that `max_skips` left out of the
    genotype, in that order.
    `discretized_*` are accuracy and mean loss of its genotype's own paths in the trained supernet, on the images of
    acc_valid (`training/discretized.py`); None where that was not measured, or the loss was infinite. Where the
    genotype was read by `worth`, `mixture_genotype` is what its mixtures say; None where the genotype is theirs.
    `is_consensus`: α, worth and genotype are not the individual's own, but the mean's of its whole population after the
    last epoch (`consensus_candidate`); acc_valid and history are its own.
    """

    added_later = frozenset({"skips_set_aside", "epoch", "derived", "is_consensus"})

    individual: Individual
    alpha: Alpha
    genotype: Genotype
    valid_accuracy: float
    history: tuple[EpochRecord, ...]
    seconds: float
    skips_set_aside: tuple[tuple[int, int], ...] = ()
    epoch: int | None = None
    derived: DerivedTraining | None = None
    discretized_accuracy: float | None = None
    discretized_loss: float | None = None
    worth: Worth | None = None
    mixture_genotype: Genotype | None = None
    is_consensus: bool = False

    @property
    def taken_from(self) -> str | None:
        """Where α and genotype come from, in words, if not from the individual's own last epoch."""
        if self.is_consensus:
            return "the mean of its population"
        if self.epoch is None or not self.history or self.epoch == self.history[-1].epoch:
            return None
        return f"epoch {self.epoch + 1} of {len(self.history)}"


class FailedIndividual(Value):
    """An individual whose training did not finish; never ranked.

    `cause` says whether trying again can help: what diverged does so again. `epoch` is where it stopped, from 0 (None
    where that is not known), `seconds` what its finished epochs took.
    """

    individual: Individual
    reason: str
    cause: FailureCause = "diverged"
    epoch: int | None = None
    seconds: float = 0.0


Outcome = TrainedIndividual | FailedIndividual


class EvaluatedIndividual(Value):
    """A trained individual with its objectives in the config's order, each in its own direction and unit."""

    trained: TrainedIndividual
    objectives: dict[str, float]

    @property
    def id(self) -> str:
        return self.trained.individual.id


class PrunedIndividual(Value):
    """An individual that was ended before its stage was, since others of its population did better; never ranked.

    `objectives` are those that its population was compared by, as after its last epoch, `front` is its place there.
    `history` is without α.
    """

    individual: Individual
    objectives: dict[str, float]
    front: int
    history: tuple[EpochRecord, ...]

    @property
    def seconds(self) -> float:
        """What its epochs took."""
        return sum(record.seconds for record in self.history)

    @property
    def reason(self) -> str:
        """Why it was ended, in words."""
        return f"on front {self.front} of its population after {counted(len(self.history), 'epoch')}"


Measured = EvaluatedIndividual | FailedIndividual
Ended = Measured | PrunedIndividual


def individual_of(ended: Ended) -> Individual:
    """The individual, whatever became of it."""
    return ended.trained.individual if isinstance(ended, EvaluatedIndividual) else ended.individual


class RankedIndividual(Value):
    """An evaluated individual with its place: front 0 is non-dominated, ends of a front are infinitely far."""

    evaluated: EvaluatedIndividual
    front: int
    crowding_distance: float

    @property
    def id(self) -> str:
        return self.evaluated.id

    @property
    def trained(self) -> TrainedIndividual:
        return self.evaluated.trained


def with_alpha(ranked: RankedIndividual, alpha: Alpha) -> RankedIndividual:
    """The same with another trained α, to be inherited."""
    trained = ranked.trained.model_copy(update={"alpha": alpha})
    return ranked.model_copy(update={"evaluated": ranked.evaluated.model_copy(update={"trained": trained})})


def without_alpha(record: EpochRecord) -> EpochRecord:
    """The same without α and what it says."""
    return record.model_copy(update={"alpha": None, "genotype": None})


def without_epoch_alphas(evaluated: EvaluatedIndividual) -> EvaluatedIndividual:
    """The same, without α and genotype of each epoch, which are large, and which its own event keeps already."""
    trained = evaluated.trained
    history = tuple(without_alpha(record) for record in trained.history)
    return evaluated.model_copy(update={"trained": trained.model_copy(update={"history": history})})


class Yardstick(Value):
    """What acc_valid of a stage's individuals, or the accuracy of genotypes' short trainings, is held against.

    It is taken on `images`; `chance` is the share of the largest class among them, in 0…1, which naming that class
    always gets right. `steps` are the steps of w in an epoch.
    """

    images: int
    chance: float
    steps: int


SHORT_TRAININGS = "short trainings"
"""What a `Cut` of genotypes' trainings by themselves is of."""


class StageResult(Value):
    """A finished stage: `ranked` from best to worst, those that failed, and the id that `result.rule` chose of it.

    `seconds` are of all training, short trainings of genotypes included. `yardstick` is None in earlier releases',
    `genotypes_yardstick` too, and where nothing is asked of short trainings.
    `cuts` say what ended early since the time was over; individuals are then what they were after equally many epochs.
    `pruned` and `failed` are in the order of their birth.
    """

    added_later = frozenset({"yardstick", "cuts", "pruned", "genotypes_yardstick"})

    index: int
    name: str
    ranked: tuple[RankedIndividual, ...]
    failed: tuple[FailedIndividual, ...]
    seconds: float
    chosen: str | None = None  # earlier releases knew one rule, and kept none
    yardstick: Yardstick | None = None
    cuts: tuple[Cut, ...] = ()
    pruned: tuple[PrunedIndividual, ...] = ()
    genotypes_yardstick: Yardstick | None = None

    @property
    def individuals(self) -> tuple[Individual, ...]:
        """All that it trained: ranked from best to worst, pruned, failed."""
        return (
            *(ranked.trained.individual for ranked in self.ranked),
            *(pruned.individual for pruned in self.pruned),
            *(failed.individual for failed in self.failed),
        )

    @property
    def short_epochs(self) -> int:
        """How long each genotype of it was trained by itself, in epochs; 0 where nothing asked for that."""
        return max((len(each.trained.derived.history) for each in self.ranked if each.trained.derived), default=0)

    @property
    def best(self) -> RankedIndividual:
        """The chosen one; without one front 0's individual of highest acc_valid, of equal ones the lower number."""
        if self.chosen is not None:
            return next(ranked for ranked in self.ranked if ranked.id == self.chosen)
        front = [ranked for ranked in self.ranked if ranked.front == 0]
        return max(front, key=lambda r: (r.trained.valid_accuracy, -r.trained.individual.number))


class SearchResult(Value):
    """A finished search. `seconds` is the search cost: the sum over stages. `chosen` is the id of what it found.

    `left_out` are the names of stages that the time was over before.
    """

    added_later = frozenset({"left_out"})

    search_id: str
    stages: tuple[StageResult, ...]
    chosen: str | None = None  # as of a stage
    rule: str = "highest accuracy among the non-dominated of the last stage"  # by which it was chosen
    left_out: tuple[str, ...] = ()

    @property
    def cuts(self) -> tuple[str, ...]:
        """What ended early since the time was over, or was left out, in words."""
        of_stages = [f"{cut.what} of stage {stage.name} {cut.in_words}" for stage in self.stages for cut in stage.cuts]
        return (*of_stages, *(f"stage {name} was left out" for name in self.left_out))

    @property
    def best(self) -> RankedIndividual:
        """The chosen one, of whatever stage; without one the last stage's best."""
        if self.chosen is None:
            return self.stages[-1].best
        return next(ranked for stage in self.stages for ranked in stage.ranked if ranked.id == self.chosen)

    @property
    def why(self) -> str:
        """By which rule the one was chosen; where it is not the last stage's or its own last epoch's, whose it is."""
        stage, taken_from = self.stages[self.best.trained.individual.stage], self.best.trained.taken_from
        of_stage = "" if stage is self.stages[-1] else f"; of stage {stage.name}, not of the last"
        left_out = f"; the time was over before {', '.join(self.left_out)}" if self.left_out else ""
        return self.rule + of_stage + (f"; as of {taken_from}" if taken_from else "") + left_out

    @property
    def seconds(self) -> float:
        return sum(stage.seconds for stage in self.stages)


def lineage_of(stages: Sequence[StageResult], found: str) -> tuple[Individual, ...]:
    """The ranked individual of the id `found` and all its ancestors, nearest first, back to random individuals."""
    individuals = {ranked.id: ranked.trained.individual for stage in stages for ranked in stage.ranked}
    line: dict[str, Individual] = {}
    waiting = deque([found])
    while waiting:
        individual = individuals[waiting.popleft()]
        line.setdefault(individual.id, individual)
        waiting += [parent for parent in individual.parents if parent not in line]
    return tuple(line.values())
