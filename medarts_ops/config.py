"""Every setting of a search and of an evaluation: frozen, checked, each field with the origin of its default.

Origins: *paper* is ME-DARTS, *DARTS* the original that it follows, *publication* that of a strategy, *ours* a gap that
we filled.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import ConfigDict, Field, SerializeAsAny, field_validator, model_validator

from medarts_ops.config_choice import DERIVED_OBJECTIVES, check_objectives
from medarts_ops.config_choice import DerivedConfig as DerivedConfig
from medarts_ops.config_choice import Direction as Direction  # a search's settings are imported from here
from medarts_ops.config_choice import ObjectiveConfig as ObjectiveConfig
from medarts_ops.config_choice import ParaAugConfig as ParaAugConfig
from medarts_ops.config_choice import ReadingConfig as ReadingConfig
from medarts_ops.config_choice import ResolvedObjective as ResolvedObjective
from medarts_ops.config_choice import ResultConfig as ResultConfig
from medarts_ops.config_runtime import ResolvedRuntime, ResolvedSearchRuntime, RuntimeConfig, SearchRuntimeConfig
from medarts_ops.config_stages import TABLE_II, check_proposed_warmup, check_stages, check_warmup
from medarts_ops.config_stages import ChildrenConfig as ChildrenConfig
from medarts_ops.config_stages import StageConfig as StageConfig
from medarts_ops.config_training import AlphaConfig as AlphaConfig
from medarts_ops.config_training import AugmentConfig as AugmentConfig
from medarts_ops.config_training import WeightsConfig as WeightsConfig
from medarts_ops.errors import ConfigError
from medarts_ops.hyperparameters import STRATEGY, HyperparameterName
from medarts_ops.settings import (
    MAX_BATCH,
    MAX_CELLS,
    MAX_CHANNELS,
    MAX_EPOCHS,
    MAX_IMAGES,
    MAX_INDIVIDUALS,
    MAX_PIXELS,
    MAX_ROUNDS,
    MAX_SIDE,
    NamedSettings,
    Settings,
    StemKind,
    resolved,
    setting,
)
from medarts_ops.space.search_space import MAX_NODES, PRIMITIVES, SearchSpace


class DatasetConfig(Settings):
    """Which images, and how the search approximates them (paper III.C.2)."""

    without_effect = frozenset({"max_pixels"})

    name: str = setting("digits", "ours", "digits, cifar10, cifar100, folder or npz")
    data: str | None = setting(None, "ours", "folder or file that holds the images; downloads go there too")
    resolution: int | None = setting(
        None, "ours", "resize every image to this side; empty keeps the images' own", ge=8, le=MAX_SIDE
    )
    max_pixels: int = setting(
        200_000_000,
        "ours",
        "folder: larger images are refused; each pixel takes four bytes",
        ge=64,
        le=MAX_PIXELS,
    )
    test_share: float = setting(0.2, "ours", "held out as test set, by class, where the data bring none", gt=0, lt=1)
    sampling: Literal["balanced", "stratified"] = setting(
        "balanced", "paper", "D_sample: equally many of each class, or the classes' own proportions"
    )
    low_resolution: bool = setting(True, "paper", "D_low: search at half width and height (LANCZOS)")


class SpaceConfig(Settings):
    """The searched cell."""

    nodes: int = setting(4, "DARTS", "intermediate nodes of a cell", ge=1, le=MAX_NODES)
    primitives: tuple[str, ...] = setting(PRIMITIVES, "DARTS", "operations that an edge mixes, in order")

    def search_space(self) -> SearchSpace:
        """The space as a value of the `space` room."""
        return SearchSpace(n_nodes=self.nodes, primitives=self.primitives)

    @model_validator(mode="after")
    def _is_a_space(self) -> Self:
        self.search_space()
        return self


class StrategyConfig(NamedSettings):
    """How α is improved within one individual: a name, and settings that the strategy of that name knows.

    Read from a file or a journal it holds whatever was given; `strategy_settings` makes the strategy's own of it.
    """

    model_config = ConfigDict(extra="allow")

    name: str = setting("darts", "paper", "registered strategy")

    def __eq__(self, other: object) -> bool:
        # As it was recorded, or as the strategy's own settings: what counts is what it says.
        return isinstance(other, StrategyConfig) and self.model_dump() == other.model_dump()

    def __hash__(self) -> int:
        return hash(self.model_dump_json())


class RangeConfig(Settings):
    """A log-uniform range of one hyperparameter."""

    low: float = Field(gt=0, description="lower end")
    high: float = Field(gt=0, description="upper end")

    @model_validator(mode="after")
    def _is_ordered(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low {self.low} is above high {self.high}")
        return self


class ProposalsConfig(Settings):
    """Optuna's part in the first stage: hyperparameters of the initial individuals."""

    added_later = frozenset({"strategy"})

    space: dict[HyperparameterName, RangeConfig] = setting(
        {}, "paper", "log-uniform ranges; empty is the paper's reading: one Θ for all, only seeds differ"
    )
    strategy: dict[str, RangeConfig] = setting(
        {}, "ours", "the same of the strategy's own numbers by name; who differs in one is not stacked with others"
    )
    generations: int = setting(1, "ours", "rounds of proposals; NSGA-II breeds from the second on", ge=1, le=MAX_ROUNDS)
    study: str | None = setting(None, "ours", "name of a study shared with other searches; empty is the search's own")

    @property
    def ranges(self) -> dict[str, RangeConfig]:
        """All ranges by the names that hyperparameters have: those of the strategy's numbers are dotted."""
        return {**self.space, **{f"{STRATEGY}{name}": limits for name, limits in self.strategy.items()}}


class SearchConfig(Settings):
    """A whole search."""

    added_later = frozenset(
        {
            "result",
            "derived",
            "candidates",
            "most_candidates",
            "max_skips",
            "reading",
            "consensus_candidate",
            "sieve",
            "levels",
        }
    )

    preset: str = setting("digits", "ours", "the preset that these settings started from")
    seed: int = setting(0, "ours", "the one seed that all random streams come from", ge=0)
    dataset: DatasetConfig = DatasetConfig()
    space: SpaceConfig = SpaceConfig()
    strategy: SerializeAsAny[StrategyConfig] = StrategyConfig()
    weights: WeightsConfig = WeightsConfig()
    alpha: AlphaConfig = AlphaConfig()
    augment: AugmentConfig = AugmentConfig()
    ranking_split: Literal["alpha", "holdout"] = setting(
        "alpha", "paper", "where acc_valid is taken: the α half, or images that neither w nor α saw"
    )
    levels: Literal["bilevel", "single"] = setting(
        "bilevel",
        "paper",
        "bilevel: w and α are stepped on halves of D_sample; single: both on all of it (SNAS)",
    )
    holdout_share: float = setting(0.2, "ours", "part of D_sample kept for ranking_split holdout", gt=0, lt=1)
    max_skips: int | None = setting(
        None,
        "ours",
        "skip-connections of a found normal cell at most: α is read again without the weakest (P-DARTS takes 2); "
        "empty leaves them as α says",
        ge=0,
        le=2 * MAX_NODES,
    )
    min_survivors: int = setting(
        1,
        "ours",
        "trained individuals that a stage must have to go on; a smaller stage all of its own",
        ge=1,
        le=MAX_INDIVIDUALS,
    )
    retries: int = setting(
        0,
        "ours",
        "how often an individual is trained again whose process died or ran out of memory",
        ge=0,
        le=MAX_ROUNDS,
    )
    stages: tuple[StageConfig, ...] = setting(TABLE_II, "paper", "Table II; populations and channels are ours")
    objectives: tuple[ObjectiveConfig, ...] = setting(
        (ObjectiveConfig(), ObjectiveConfig(name="params")), "paper", "what better means; ties go by the first"
    )
    para_aug: ParaAugConfig = ParaAugConfig()
    reading: ReadingConfig = ReadingConfig()
    derived: DerivedConfig = DerivedConfig()
    candidates: Literal["last", "epochs"] = setting(
        "last",
        "paper",
        "what an individual may be measured as: its α after the last epoch, or that after any epoch, of which the one "
        "whose weighted objectives (result.weights) are the highest of the population's is taken",
    )
    most_candidates: int = setting(
        3, "ours", "candidates of an individual, those that the sieve leaves", ge=1, le=MAX_EPOCHS
    )
    sieve: Literal["lasted", "params"] = setting(
        "lasted",
        "ours",
        "which epochs' genotypes are candidates: the last and those that lasted longest, or those of most parameters",
    )
    consensus_candidate: bool = setting(
        False,
        "ours",
        "the mean of a population, read as an individual is (α, or with reading perturbation worth, as PertNAS's), is "
        "one more candidate of the individual whose own genotype is the nearest; wants objectives of genotypes alone",
    )
    result: ResultConfig = ResultConfig()
    proposals: ProposalsConfig = ProposalsConfig()
    runtime: SearchRuntimeConfig = SearchRuntimeConfig()

    @field_validator("objectives", mode="before")
    @classmethod
    def _may_be_one(cls, given: object) -> object:
        return (given,) if isinstance(given, str) else given

    @property
    def trains_genotypes(self) -> bool:
        """Whether an objective asks for the short training of genotypes."""
        return any(objective.name in DERIVED_OBJECTIVES for objective in self.objectives)

    def most_candidates_of(self, individuals: int, populations: int = 1) -> int:
        """As how many candidates so many individuals, of so many populations, are measured at most."""
        each = 1 if self.candidates == "last" else self.most_candidates
        return individuals * each + (populations if self.consensus_candidate else 0)

    def populations_of(self, stage: int) -> int:
        """How many populations a stage trains one after the other: rounds of proposals, of the first stage."""
        return 1 if stage else self.proposals.generations

    def progress(self, stage: int, epoch: int) -> float:
        """The share, in 0…1, of the search's epochs that are over when this epoch (from 0) of this stage begins."""
        epochs = [each.epochs for each in self.stages]
        return (sum(epochs[:stage]) + epoch) / sum(epochs)

    @property
    def weight_share(self) -> float:
        """The share of D_sample that w is stepped on."""
        kept = self.holdout_share if self.ranking_split == "holdout" else 0.0
        return (1 - kept) * (1.0 if self.levels == "single" else 0.5)

    @model_validator(mode="after")
    def _settings_agree(self) -> Self:
        check_stages(self.stages)
        check_warmup(self.stages, self.alpha.warmup, self.alpha.warmup_epochs)
        proposed = self.proposals.space.get("alpha_warmup")
        check_proposed_warmup(self.stages, None if proposed is None else proposed.high)
        check_objectives(self.objectives, self.result, self.consensus_candidate)
        if self.levels == "single" and self.ranking_split != "holdout":
            raise ConfigError(
                f"levels is single and ranking_split {self.ranking_split}: acc_valid would be of images that w was "
                "trained on; set ranking_split to holdout"
            )
        return self


class ResolvedSearchConfig(SearchConfig):
    """A search's settings without any `auto`, as they are recorded. Their JSON is a SearchConfig's."""

    objectives: tuple[ResolvedObjective, ...] = resolved(SearchConfig, "objectives")
    runtime: ResolvedSearchRuntime


class AuxiliaryConfig(Settings):
    """The auxiliary classifier at two thirds of the depth."""

    weight: float = setting(0.4, "DARTS", "its loss's weight; 0 builds no auxiliary head", ge=0)


class EvaluateConfig(Settings):
    """Full-size training of one genotype (DARTS's setting, paper IV.C)."""

    added_later = frozenset({"images", "stem", "class_weights", "validation_share", "patience"})

    preset: str = setting("digits", "ours", "the preset that these settings started from")
    seed: int = setting(0, "ours", "the one seed that all random streams come from", ge=0)
    dataset: DatasetConfig = DatasetConfig(low_resolution=False)
    cells: int = setting(20, "DARTS", "cells of the network", ge=3, le=MAX_CELLS)
    channels: int = setting(36, "DARTS", "channels of the first cells", ge=1, le=MAX_CHANNELS)
    stem: StemKind = setting(
        "cifar", "DARTS", "one convolution before the cells, or for photos of 64 pixels and more three of stride 2"
    )
    epochs: int = setting(600, "DARTS", "epochs of training", ge=1, le=MAX_EPOCHS)
    images: int | None = setting(
        None,
        "DARTS",
        "training images: as many of each class, drawn with the seed as D_sample is; empty takes all, paper IV.D fewer",
        ge=2,
        le=MAX_IMAGES,
    )
    validation_share: float = setting(
        0.0,
        "DARTS",
        "of the training images, by class, held back to choose the epoch by; the test set is used once, at the end, "
        "for that epoch; 0 takes the last epoch, and tests each",
        ge=0,
        lt=1,
    )
    patience: int | None = setting(
        None,
        "ours",
        "epochs without a better one, by the validation images, after which training stops; empty never stops early",
        ge=1,
        le=MAX_EPOCHS,
    )
    class_weights: Literal["none", "balanced"] = setting(
        "none",
        "DARTS",
        "of the loss: all images alike, or all classes, by n / (classes · images of the class); balanced chooses the "
        "epoch by balanced accuracy, too",
    )
    batch: int = setting(96, "DARTS", "images a step", ge=1, le=MAX_BATCH)
    weights: WeightsConfig = WeightsConfig(lr_min=0.0)
    drop_path: float = setting(
        0.2, "DARTS", "drop-path probability of the last epoch, rising linearly from 0", ge=0, lt=1
    )
    auxiliary: AuxiliaryConfig = AuxiliaryConfig()
    augment: AugmentConfig = AugmentConfig(cutout=16)
    runtime: RuntimeConfig = RuntimeConfig()

    @model_validator(mode="after")
    def _has_images_to_be_patient_by(self) -> Self:
        if self.patience is not None and not self.validation_share:
            raise ConfigError(
                f"patience is {self.patience} and validation_share 0: there are no validation images to stop by; "
                "set validation_share=0.1, say"
            )
        return self


class ResolvedEvaluateConfig(EvaluateConfig):
    """An evaluation's settings without any `auto`. Their JSON is an EvaluateConfig's."""

    runtime: ResolvedRuntime
