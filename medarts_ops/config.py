"""Every setting of a search: frozen, checked, each field with the origin of its default.

Origins: *paper* is ME-DARTS, *DARTS* the original that it follows, *publication* that of a strategy, *ours* a gap that
we filled.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import SerializeAsAny, field_validator, model_validator

from medarts_ops.config_choice import DERIVED_OBJECTIVES, check_objectives
from medarts_ops.config_choice import DerivedConfig as DerivedConfig
from medarts_ops.config_choice import Direction as Direction  # a search's settings are imported from here
from medarts_ops.config_choice import ObjectiveConfig as ObjectiveConfig
from medarts_ops.config_choice import ParaAugConfig as ParaAugConfig
from medarts_ops.config_choice import ReadingConfig as ReadingConfig
from medarts_ops.config_choice import ResolvedObjective as ResolvedObjective
from medarts_ops.config_choice import ResolvedParaAugConfig as ResolvedParaAugConfig
from medarts_ops.config_choice import ResultConfig as ResultConfig
from medarts_ops.config_dataset import DatasetConfig as DatasetConfig
from medarts_ops.config_evaluate import AuxiliaryConfig as AuxiliaryConfig
from medarts_ops.config_evaluate import EvaluateConfig as EvaluateConfig
from medarts_ops.config_evaluate import ResolvedEvaluateConfig as ResolvedEvaluateConfig
from medarts_ops.config_proposals import ProposalsConfig as ProposalsConfig
from medarts_ops.config_proposals import RangeConfig as RangeConfig
from medarts_ops.config_proposals import StrategyConfig as StrategyConfig
from medarts_ops.config_prune import PruneConfig as PruneConfig
from medarts_ops.config_prune import check_prune
from medarts_ops.config_runtime import ResolvedSearchRuntime, SearchRuntimeConfig
from medarts_ops.config_stages import TABLE_II, check_proposed_warmup, check_stages, check_warmup
from medarts_ops.config_stages import ChildrenConfig as ChildrenConfig
from medarts_ops.config_stages import StageConfig as StageConfig
from medarts_ops.config_training import AlphaConfig as AlphaConfig
from medarts_ops.config_training import AugmentConfig as AugmentConfig
from medarts_ops.config_training import WeightsConfig as WeightsConfig
from medarts_ops.errors import ConfigError
from medarts_ops.settings import (
    MAX_EPOCHS,
    MAX_INDIVIDUALS,
    MAX_ROUNDS,
    PHOTO_SIDE,
    STEM_BEFORE,
    Settings,
    StemChoice,
    StemKind,
    resolved,
    setting,
)
from medarts_ops.space.search_space import MAX_NODES, PRIMITIVES, SearchSpace


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
            "stem",
            "prune",
        }
    )
    as_before = STEM_BEFORE

    preset: str = setting("digits", "ours", "the preset that these settings started from")
    seed: int = setting(0, "ours", "the one seed that all random streams come from", ge=0)
    dataset: DatasetConfig = DatasetConfig()
    space: SpaceConfig = SpaceConfig()
    stem: StemChoice = setting(
        "auto",
        "DARTS",
        "what supernets have before their cells: one convolution, or for photos three of stride 2; auto: imagenet if "
        f"both sides of what they see are {PHOTO_SIDE} pixels or more",
    )
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
    prune: PruneConfig = PruneConfig()
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
        3, "ours", "with candidates epochs: how many of an individual, those that the sieve leaves", ge=1, le=MAX_EPOCHS
    )
    sieve: Literal["lasted", "params"] = setting(
        "lasted",
        "ours",
        "with candidates epochs: which ones, by their genotypes: the last and those that lasted longest, or those of "
        "most parameters",
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

    def most_candidates_of(self, stage: int) -> int:
        """As how many candidates a stage's individuals are measured at most, in all its populations."""
        each = 1 if self.candidates == "last" else self.most_candidates
        return self.finishers(stage) * each + (self.populations_of(stage) if self.consensus_candidate else 0)

    def finishers(self, stage: int) -> int:
        """How many individuals of a stage train to its end, in all its populations."""
        return self.prune.kept(self.stages[stage]) * self.populations_of(stage)

    def epochs_of(self, stage: int) -> int:
        """Epochs of a stage, summed over its individuals in all its populations."""
        config = self.stages[stage]
        return (config.size * config.epochs - self.prune.spared(config)) * self.populations_of(stage)

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

    @property
    def measured_share(self) -> float:
        """The share of D_sample that acc_valid is taken on."""
        return self.holdout_share if self.ranking_split == "holdout" else 0.5

    @model_validator(mode="after")
    def _settings_agree(self) -> Self:
        check_stages(self.stages)
        check_warmup(self.stages, self.alpha.warmup, self.alpha.warmup_epochs)
        proposed = self.proposals.space.get("alpha_warmup")
        check_proposed_warmup(self.stages, None if proposed is None else proposed.high)
        check_objectives(self.objectives, self.result, self.consensus_candidate)
        check_prune(
            self.prune,
            self.stages,
            rounds=self.proposals.generations,
            min_survivors=self.min_survivors,
            objectives=[objective.name for objective in self.objectives],
            budget=self.runtime.budget.seconds,
        )
        if self.levels == "single" and self.ranking_split != "holdout":
            raise ConfigError(
                f"levels is single and ranking_split {self.ranking_split}: acc_valid would be of images that w was "
                "trained on; set ranking_split to holdout"
            )
        return self


class ResolvedSearchConfig(SearchConfig):
    """A search's settings without any `auto`, as they are recorded. Their JSON is a SearchConfig's."""

    stem: StemKind = resolved(SearchConfig, "stem")
    objectives: tuple[ResolvedObjective, ...] = resolved(SearchConfig, "objectives")
    para_aug: ResolvedParaAugConfig = ResolvedParaAugConfig()
    runtime: ResolvedSearchRuntime
