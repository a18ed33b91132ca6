"""The one table of hyperparameters: what may differ between individuals, and the setting that each is taken from."""

from __future__ import annotations

from operator import attrgetter
from typing import Annotated

from pydantic import AfterValidator

from medarts_ops.settings import Settings
from medarts_ops.value import Value


class Hyperparameters(Value):
    """What may differ between the individuals of a stage, apart from α and seeds: each with its setting's dotted path.

    All else about them is derived from these lines. Numbers that a strategy brings would be a mapping beside them.
    `alpha_warmup` is None where the search counts its warm-up in epochs.
    """

    added_later = frozenset({"alpha_warmup"})

    alpha_lr: Annotated[float, "alpha.lr"]
    weights_lr: Annotated[float, "weights.lr"]
    alpha_weight_decay: Annotated[float, "alpha.weight_decay"]
    alpha_init_std: Annotated[float, "alpha.init_std"]
    alpha_warmup: Annotated[float | None, "alpha.warmup"] = None

    @classmethod
    def from_config(cls, config: Settings) -> Hyperparameters:
        """The values of a search's own settings: DARTS's, unless they were changed."""
        return cls.model_validate({name: attrgetter(path)(config) for name, path in HYPERPARAMETERS.items()})


HYPERPARAMETERS = {name: str(field.metadata[0]) for name, field in Hyperparameters.model_fields.items()}
"""Names, as `proposals.space` takes them too, and dotted paths of a search's settings."""


def _known(name: str) -> str:
    if name not in HYPERPARAMETERS:
        raise ValueError(f"allowed are {', '.join(HYPERPARAMETERS)}")
    return name


HyperparameterName = Annotated[str, AfterValidator(_known)]
