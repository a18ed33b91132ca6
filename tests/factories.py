"""Small valid values for tests: α, individuals before and after training, a tiny search config, a search's events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from medarts_ops.alpha import Alpha, CellAlpha
from medarts_ops.config import (
    AugmentConfig,
    AuxiliaryConfig,
    DatasetConfig,
    EvaluateConfig,
    ResolvedEvaluateConfig,
    ResolvedObjective,
    ResolvedParaAugConfig,
    ResolvedSearchConfig,
    SpaceConfig,
    StageConfig,
)
from medarts_ops.config_runtime import ResolvedEvaluationRuntime, ResolvedSearchRuntime
from medarts_ops.derived import DerivedEpoch, DerivedTraining
from medarts_ops.evolution.children import children_of
from medarts_ops.evolution.inheritance import inherit
from medarts_ops.evolution.offspring import born
from medarts_ops.evolution.ranking import rank, survivors
from medarts_ops.individual import (
    ChildOrigin,
    EpochRecord,
    EvaluatedIndividual,
    EvaluationEpoch,
    EvaluationResult,
    FailedIndividual,
    Hyperparameters,
    Individual,
    PrunedIndividual,
    RankedIndividual,
    SearchResult,
    StageResult,
    TrainedIndividual,
    individual_id,
)
from medarts_ops.observers import (
    DatasetSummary,
    EpochFinished,
    EvaluationEpochFinished,
    EvaluationFinished,
    EvaluationStarted,
    IndividualFinished,
    PopulationBorn,
    PopulationPruned,
    SearchEvent,
    SearchFinished,
    SearchStarted,
    StageFinished,
    StageStarted,
)
from medarts_ops.resolving import resolve_evaluate_config
from medarts_ops.seeds import Stream, random_generator
from medarts_ops.space.genotype import Genotype
from medarts_ops.space.search_space import SearchSpace
from medarts_ops.strategies.darts import DartsSettings

DARTS_SPACE = SearchSpace()

OBJECTIVES = tuple(ResolvedObjective(name=name, direction="maximize") for name in ("accuracy", "params"))
"""The paper's."""


def make_cell_alpha(seed: int = 0, space: SearchSpace = DARTS_SPACE, edges_weighted: bool = False) -> CellAlpha:
    """Random logits of one cell."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(space.n_edges, space.n_primitives))
    edges = {"edge_logits": rng.normal(size=space.n_edges)} if edges_weighted else {}
    return CellAlpha(arrays={"op_logits": logits, **edges})


def make_alpha(seed: int = 0, space: SearchSpace = DARTS_SPACE, edges_weighted: bool = False) -> Alpha:
    """Random α; equal seeds give equal bits."""
    return Alpha(
        normal=make_cell_alpha(2 * seed, space, edges_weighted),
        reduce=make_cell_alpha(2 * seed + 1, space, edges_weighted),
    )


def make_mixture(seed: int = 0, space: SearchSpace = DARTS_SPACE) -> np.ndarray:
    """A random mixture [edge, op] whose rows sum to 1."""
    logits = np.random.default_rng(seed).normal(size=(space.n_edges, space.n_primitives))
    weights: np.ndarray = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return weights


def make_genotype(operation: str = "sep_conv_3x3", nodes: int = 4) -> Genotype:
    """A genotype in which every node reads both inputs through one operation."""
    pairs = ((operation, 0), (operation, 1)) * nodes
    concat = tuple(range(2, 2 + nodes))
    return Genotype(normal=pairs, normal_concat=concat, reduce=pairs, reduce_concat=concat)


def make_hyperparameters(alpha_lr: float = 3e-4) -> Hyperparameters:
    """DARTS's values, with another learning rate of α on request."""
    return Hyperparameters(alpha_lr=alpha_lr, weights_lr=0.025, alpha_weight_decay=1e-3, alpha_init_std=1e-3)


def make_individual(
    number: int = 0,
    stage: int = 0,
    stage_name: str = "init",
    *,
    alpha: Alpha | None = None,
    hyperparameters: Hyperparameters | None = None,
    origin: Literal["random", "inherited"] | ChildOrigin = "random",
    parents: tuple[str, ...] = (),
) -> Individual:
    """An individual before training; its α is seeded by its number unless given."""
    return Individual(
        id=individual_id(stage_name, number),
        stage=stage,
        number=number,
        origin=origin,
        parents=parents,
        alpha=make_alpha(number) if alpha is None else alpha,
        hyperparameters=make_hyperparameters() if hyperparameters is None else hyperparameters,
    )


def make_epoch_record(epoch: int = 0, valid_accuracy: float = 0.5) -> EpochRecord:
    """One plausible epoch."""
    return EpochRecord(
        epoch=epoch,
        train_loss=2.0 / (epoch + 1),
        train_accuracy=0.4,
        alpha_loss=1.9,
        valid_loss=1.8,
        valid_accuracy=valid_accuracy,
        lr=0.025,
        normal_skips=1,
        reduce_skips=0,
        max_mixture_normal=0.13,
        max_mixture_reduce=0.14,
        seconds=1.5,
        images_per_second=1000.0,
    )


def make_evaluation_epoch(epoch: int = 0, test_error: float = 0.125, seconds: float = 10.0) -> EvaluationEpoch:
    """One plausible epoch of full-size training."""
    return EvaluationEpoch(
        epoch=epoch,
        train_loss=2.0 / (epoch + 1),
        train_accuracy=0.5,
        test_loss=1.5,
        test_error=test_error,
        lr=0.025,
        drop_path=0.1 * epoch,
        seconds=seconds,
        images_per_second=144.0,
    )


def make_trained(
    individual: Individual | None = None,
    *,
    alpha: Alpha | None = None,
    genotype: Genotype | None = None,
    valid_accuracy: float = 0.5,
    epochs: int = 2,
    derived: DerivedTraining | None = None,
) -> TrainedIndividual:
    """A trained individual; its trained α differs from the one at birth."""
    born = make_individual() if individual is None else individual
    return TrainedIndividual(
        individual=born,
        alpha=make_alpha(1000 + born.number) if alpha is None else alpha,
        genotype=make_genotype() if genotype is None else genotype,
        valid_accuracy=valid_accuracy,
        history=tuple(make_epoch_record(epoch, valid_accuracy) for epoch in range(epochs)),
        seconds=3.0,
        derived=derived,
    )


def make_derived(genotype: Genotype | None = None, accuracy: float = 0.4, epochs: int = 2) -> DerivedTraining:
    """What came of a genotype's short training; its loss is 1 less its accuracy."""
    history = tuple(
        DerivedEpoch(
            epoch=epoch,
            train_loss=1.0,
            train_accuracy=0.5,
            valid_loss=1 - accuracy,
            valid_accuracy=accuracy,
            lr=0.03,
            seconds=0.5,
            images_per_second=100.0,
        )
        for epoch in range(epochs)
    )
    return DerivedTraining(genotype=genotype or make_genotype(), parameters=1000, history=history)


def make_failed(number: int = 0, reason: str = "loss is NaN", epoch: int | None = 0) -> FailedIndividual:
    """An individual whose training diverged."""
    return FailedIndividual(individual=make_individual(number), reason=reason, epoch=epoch)


def make_pruned(number: int = 0, accuracy: float = 0.4, params: float = 1e6) -> PrunedIndividual:
    """An individual that was dominated after its first epoch."""
    individual, history = make_individual(number), (make_epoch_record(0, accuracy),)
    return PrunedIndividual(
        individual=individual, objectives={"accuracy": accuracy, "params": params}, front=1, history=history
    )


def make_evaluated(
    accuracy: float = 0.5,
    params: float = 3e6,
    number: int = 0,
    *,
    trained: TrainedIndividual | None = None,
) -> EvaluatedIndividual:
    """An evaluated individual with the paper's two objectives, in their order."""
    made = make_trained(make_individual(number), valid_accuracy=accuracy) if trained is None else trained
    return EvaluatedIndividual(trained=made, objectives={"accuracy": accuracy, "params": params})


def make_ranked(
    number: int = 0,
    accuracy: float = 0.5,
    params: float = 3e6,
    *,
    front: int = 0,
    crowding_distance: float = float("inf"),
    trained: TrainedIndividual | None = None,
) -> RankedIndividual:
    """A ranked individual with the place that the caller gives it."""
    evaluated = make_evaluated(accuracy, params, number, trained=trained)
    return RankedIndividual(evaluated=evaluated, front=front, crowding_distance=crowding_distance)


def make_search_runtime(
    *, device: str = "cpu", amp: str = "off", threads: int = 1, workers: int = 1, stack: int = 1, **more: object
) -> ResolvedSearchRuntime:
    """One thread of a CPU in full precision, unless said otherwise."""
    given = {"device": device, "amp": amp, "threads": threads, "workers": workers, "stack": stack, **more}
    return ResolvedSearchRuntime.model_validate({"cuda_graphs": "off", "channels_last": True} | given)


def make_evaluation_runtime(
    *, device: str = "cpu", amp: str = "off", threads: int = 1, channels_last: bool = True, **more: object
) -> ResolvedEvaluationRuntime:
    """The same for an evaluation."""
    given = {"device": device, "amp": amp, "threads": threads, "channels_last": channels_last, **more}
    return ResolvedEvaluationRuntime.model_validate(given)


def make_search_config_tiny(seed: int = 0) -> ResolvedSearchConfig:
    """Three stages on digits that a CPU trains in seconds."""
    return ResolvedSearchConfig(
        seed=seed,
        dataset=DatasetConfig(name="digits", low_resolution=False),
        space=SpaceConfig(nodes=2, primitives=("none", "max_pool_3x3", "skip_connect", "sep_conv_3x3")),
        strategy=DartsSettings(),
        stages=(
            StageConfig(name="init", cells=3, channels=2, epochs=1, images=80, batch=20, population=3),
            StageConfig(name="mid", cells=3, channels=2, epochs=1, images=80, batch=20, survivors=2, children=1),
            StageConfig(name="final", cells=4, channels=2, epochs=1, images=80, batch=20, survivors=1),
        ),
        objectives=OBJECTIVES,
        para_aug=ResolvedParaAugConfig(cells=3, channels=4),
        runtime=make_search_runtime(),
    )


def make_evaluate_config_tiny() -> ResolvedEvaluateConfig:
    """Three epochs on digits that a CPU trains in seconds, with drop path and cutout."""
    return ResolvedEvaluateConfig(
        dataset=DatasetConfig(name="digits", low_resolution=False),
        cells=3,
        channels=2,
        epochs=3,
        batch=256,
        drop_path=0.3,
        auxiliary=AuxiliaryConfig(weight=0.0),
        augment=AugmentConfig(flip=False, cutout=2),
        runtime=make_evaluation_runtime(),
    )


def make_dataset_summary() -> DatasetSummary:
    """The digits in words and numbers."""
    return DatasetSummary(
        name="digits",
        class_names=tuple(str(digit) for digit in range(10)),
        n_train=1438,
        n_test=359,
        in_channels=1,
        resolution=(8, 8),
        search_resolution=None,
        test_source="20 % of the images, by class",
        fingerprint="0123456789ab",
    )


def make_stage_result(ranked: Sequence[RankedIndividual], failed: Sequence[FailedIndividual] = ()) -> StageResult:
    """A finished first stage."""
    return StageResult(index=0, name="init", ranked=tuple(ranked), failed=tuple(failed), seconds=9.0)


class Outcome(NamedTuple):
    """What becomes of a made-up individual that does not fail."""

    accuracy: float
    params: float
    genotype: Genotype | None = None


def make_stages(
    config: ResolvedSearchConfig,
    outcomes: Sequence[Sequence[Outcome | str]],
    seconds: Sequence[float] = (9.0, 9.0, 9.0),
    epochs: int = 2,
) -> tuple[StageResult, ...]:
    """The first stages of a search, bred, numbered and ranked by the functions that a real one uses.

    `outcomes` are each stage's, in the order of its individuals' numbers; a text is the reason why one fails.
    """
    stages: list[StageResult] = []
    for index, came in enumerate(outcomes):
        stage = config.stages[index]
        if stages:
            chosen = survivors(stages[-1].ranked, stage.survivors or 0)
            heirs = inherit(chosen, index, stage.name)
            rng = random_generator(config.seed, index, 0, Stream.CHILDREN)
            children = children_of(chosen, stage.planned_children, DARTS_SPACE, rng)
            population = (*heirs, *born(children, index, stage.name, len(heirs)))
        else:
            population = tuple(make_individual(number, index, stage.name) for number in range(len(came)))
        evaluated, failed = [], []
        for individual, outcome in zip(population, came, strict=True):
            if isinstance(outcome, str):
                failed.append(FailedIndividual(individual=individual, reason=outcome, epoch=0))
                continue
            accuracy, params, genotype = outcome
            trained = make_trained(individual, valid_accuracy=accuracy, genotype=genotype, epochs=epochs)
            evaluated.append(make_evaluated(accuracy, params, trained=trained))
        ranked = rank(evaluated, config.objectives)
        stages.append(
            StageResult(index=index, name=stage.name, ranked=ranked, failed=tuple(failed), seconds=seconds[index])
        )
    return tuple(stages)


def make_events(
    config: ResolvedSearchConfig,
    stages: Sequence[StageResult],
    search_id: str = "search-test",
    images: Sequence[int] = (80, 80, 80),
    epochs: int = 1,
) -> tuple[SearchEvent, ...]:
    """What a search of these stages tells its observers, in order; of epochs only some of each stage's best."""
    events: list[SearchEvent] = [SearchStarted(search_id=search_id, config=config, dataset=make_dataset_summary())]
    chosen: tuple[str, ...] = ()
    for stage in stages:
        outcomes = {ranked.id: ranked.evaluated for ranked in stage.ranked}
        born = sorted(stage.individuals, key=lambda individual: individual.number)
        events += [
            StageStarted(index=stage.index, name=stage.name, survivors=chosen, images=images[stage.index]),
            PopulationBorn(stage=stage.index, round=0, individuals=tuple(born)),
            *_pruned(stage),
            *(EpochFinished(individual_id=stage.best.id, record=make_epoch_record(epoch)) for epoch in range(epochs)),
            *(IndividualFinished(outcome=outcomes[each.id]) for each in born if each.id in outcomes),
            *(IndividualFinished(outcome=failed) for failed in stage.failed),
            StageFinished(result=stage),
        ]
        following = config.stages[stage.index + 1 : stage.index + 2]
        chosen = tuple(ranked.id for next_stage in following for ranked in stage.ranked[: next_stage.survivors])
    return (*events, SearchFinished(result=SearchResult(search_id=search_id, stages=tuple(stages))))


def _pruned(stage: StageResult) -> Sequence[SearchEvent]:
    """The epochs of those that were pruned, and that they were."""
    if not stage.pruned:
        return ()
    epochs = [
        EpochFinished(individual_id=pruned.individual.id, record=record)
        for pruned in stage.pruned
        for record in pruned.history
    ]
    kept = tuple(ranked.id for ranked in stage.ranked)
    return (*epochs, PopulationPruned(stage=stage.index, round=0, kept=kept, pruned=stage.pruned))


def make_two_stages_config() -> ResolvedSearchConfig:
    """Two stages over DARTS's space: three random individuals, then two heirs and their child."""
    stages = (
        StageConfig(name="init", cells=3, channels=2, epochs=2, images=80, batch=20, population=3),
        StageConfig(name="final", cells=4, channels=2, epochs=1, images=0.5, batch=20, survivors=2, children=1),
    )
    return make_search_config_tiny().model_copy(update={"space": SpaceConfig(), "stages": stages})


FIRST_STAGE = (Outcome(0.9, 2e6), Outcome(0.8, 3e6), "loss is NaN")
"""Two individuals on front 0 and one that failed."""


def make_search_events(search_id: str = "search-test") -> tuple[SearchEvent, ...]:
    """What a search of one stage with two good individuals and a failed one tells its observers, in order."""
    config = make_search_config_tiny().model_copy(update={"space": SpaceConfig()})  # the space of their α
    return make_events(config, make_stages(config, [FIRST_STAGE]), search_id)


def make_pruned_events(search_id: str = "search-test") -> tuple[SearchEvent, ...]:
    """The same of a search that pruned a fourth individual after its first epoch."""
    config = make_search_config_tiny().model_copy(update={"space": SpaceConfig()})
    (stage,) = make_stages(config, [FIRST_STAGE])
    return make_events(config, [stage.model_copy(update={"pruned": (make_pruned(3),)})], search_id)


def make_evaluation_events() -> tuple[EvaluationStarted, EvaluationEpochFinished, EvaluationFinished]:
    """What an evaluation of one epoch tells its observers, in order."""
    record, genotype = make_evaluation_epoch(), make_genotype()
    result = EvaluationResult(genotype=genotype, parameters=123456, history=(record,), seconds=10.0)
    started = EvaluationStarted(
        config=resolve_evaluate_config(EvaluateConfig(epochs=1), (8, 8)),
        genotype=genotype,
        parameters=123456,
        dataset=make_dataset_summary(),
    )
    return started, EvaluationEpochFinished(record=record), EvaluationFinished(result=result)
