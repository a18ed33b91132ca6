"""What better means, and who is chosen, as settings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, Self

from pydantic import model_validator

from medarts_ops.errors import ConfigError, unknown_name
from medarts_ops.settings import (
    MAX_BATCH,
    MAX_CELLS,
    MAX_CHANNELS,
    MAX_EPOCHS,
    MAX_IMAGES,
    MAX_STEPS,
    STEM_BEFORE,
    Images,
    NamedSettings,
    Settings,
    StemChoice,
    StemKind,
    resolved,
    setting,
)

Direction = Literal["maximize", "minimize"]


class ObjectiveConfig(NamedSettings):
    """One objective of the selection (paper III.C.3)."""

    name: str = setting("accuracy", "paper", "registered objective")
    direction: Direction | None = setting(None, "ours", "which way is better; empty is the objective's natural one")


class ResolvedObjective(ObjectiveConfig):
    """An objective whose direction is explicit."""

    direction: Direction = resolved(ObjectiveConfig, "direction")


class ParaAugConfig(Settings):
    """The network whose parameters para_aug counts: an evaluation network without auxiliary head."""

    added_later = frozenset({"stem"})
    as_before = STEM_BEFORE

    cells: int = setting(20, "paper", "cells of the counted network", ge=3, le=MAX_CELLS)
    channels: int = setting(36, "DARTS", "first channels of the counted network", ge=1, le=MAX_CHANNELS)
    stem: StemChoice = setting(
        "auto",
        "DARTS",
        "stem of the counted network; auto: the search's if that is set, else as an evaluation's on the whole images",
    )


class ResolvedParaAugConfig(ParaAugConfig):
    """The counted network with its stem."""

    stem: StemKind = resolved(ParaAugConfig, "stem")


DERIVED_OBJECTIVES = ("derived_accuracy", "derived_loss")
"""The objectives that the short training of a genotype's own network measures."""


SUPERNET_OBJECTIVES = ("accuracy", "valid_loss")
"""The objectives that an individual's own supernet measures."""


def of_supernets(objectives: Iterable[str]) -> list[str]:
    """Those of these objectives that an individual's own supernet measures."""
    return [name for name in objectives if name in SUPERNET_OBJECTIVES]


class DerivedConfig(Settings):
    """The short training, from scratch, of a genotype's own network at the search's resolution.

    Deep and narrow networks trained so rank genotypes as full training does, by MAC-AutoML's table of 100 genotypes on
    50,000 images: Spearman 0.55 with the real accuracies at these sizes, and 0.66 together with parameters. Wide and
    shallow ones do not, and a tenth of that training ranks nothing (docs/results.md).
    """

    without_effect = frozenset({"least_steps"})  # beside the epochs that come of it

    cells: int = setting(10, "ours", "cells of the network", ge=3, le=MAX_CELLS)
    channels: int = setting(10, "ours", "channels of its first cells", ge=1, le=MAX_CHANNELS)
    epochs: int = setting(15, "ours", "epochs of training", ge=1, le=MAX_EPOCHS)
    least_steps: int = setting(
        0,
        "ours",
        "steps that the training takes at least: with fewer in its epochs it is given more, which are recorded",
        ge=0,
        le=MAX_STEPS,
    )
    batch: int = setting(128, "ours", "images a step", ge=2, le=MAX_BATCH)
    images: Images = setting(
        1.0,
        "ours",
        "size of its D_sample; a share as of a stage's. Too few, or too few epochs, rank genotypes not at all",
    )
    held_out: float = setting(0.2, "ours", "part of that D_sample which is measured by, not trained on", gt=0, lt=1)
    lr: float = setting(0.03, "ours", "learning rate of the first epoch; it falls to 0 as weights.schedule says", gt=0)
    seed: int | None = setting(None, "ours", "seed of weights and batches; empty is the search's", ge=0)

    def parts(self, images: int) -> tuple[int, int]:
        """Of so many drawn images about how many are trained on, how many measure: each class is rounded by itself."""
        held_out = round(images * self.held_out)
        return images - held_out, held_out


class ResultConfig(Settings):
    """Which one of the individuals a search says that it found."""

    rule: Literal["accuracy", "weighted"] = setting(
        "accuracy", "paper", "highest acc_valid, or the highest weighted sum of the objectives, each over its range"
    )
    weights: dict[str, float] = setting(
        {}, "ours", "weights of the sum by objective, 0 or more; empty is 1 for the first and 0.5 for every other"
    )
    stages: Literal["last", "all"] = setting(
        "last",
        "paper",
        "candidates: the last stage's non-dominated individuals, or those of all stages, whose objectives should then "
        "compare between stages, as derived_accuracy does",
    )

    @model_validator(mode="after")
    def _weights_weigh(self) -> Self:
        bad = {name: weight for name, weight in self.weights.items() if weight < 0}
        if bad or (self.weights and not any(self.weights.values())):
            raise ValueError(f"weights are {self.weights}: allowed are numbers from 0, one of them above 0")
        return self


class ReadingConfig(NamedSettings):
    """How a trained individual's genotype is read."""

    name: Literal["mixture", "perturbation"] = setting(
        "mixture",
        "paper",
        "by the weights of the mixtures, or by how much the loss rises without an operation (DARTS-PT), which takes a "
        "forward pass of the images for each operation of each edge",
    )
    images: int = setting(
        512, "ours", "perturbation: validation images that each loss is taken on", ge=2, le=MAX_IMAGES
    )


def check_objectives(objectives: Sequence[ObjectiveConfig], result: ResultConfig, consensus_candidate: bool) -> None:
    """Raises a ConfigError if a search could not rank, or not choose, by these."""
    names = [objective.name for objective in objectives]
    if not names:
        raise ConfigError("objectives is empty: allowed is one objective or more")
    for name in result.weights:
        if name not in names:
            raise ConfigError(unknown_name("result.weights", name, names))
    if len(set(names)) != len(names):
        raise ConfigError(f"objectives repeats a name: got {names}")
    supernets = of_supernets(names)
    if consensus_candidate and supernets:
        raise ConfigError(
            f"consensus_candidate is true and objectives has {supernets[0]}, which no supernet measures of a "
            "population's mean: allowed are objectives of genotypes alone, such as [derived_accuracy, params]"
        )
