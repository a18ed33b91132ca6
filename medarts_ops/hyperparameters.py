"""The one table of hyperparameters: what may differ between individuals, and the setting that each is taken from."""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from typing import Annotated, Self

from pydantic import AfterValidator

from medarts_ops.settings import Settings
from medarts_ops.value import Value


class Hyperparameters(Value):
    """What may differ between the individuals of a stage, apart from α and seeds: each with its setting's dotted path.

    All else about them is derived from these lines. `alpha_warmup` is None where the search counts its warm-up in
    epochs. `strategy` has the strategy's own numbers as far as proposals range over them, by their settings' names.
    """

    added_later = frozenset({"alpha_warmup", "strategy"})

    alpha_lr: Annotated[float, "alpha.lr"]
    weights_lr: Annotated[float, "weights.lr"]
    alpha_weight_decay: Annotated[float, "alpha.weight_decay"]
    alpha_init_std: Annotated[float, "alpha.init_std"]
    alpha_warmup: Annotated[float | None, "alpha.warmup"] = None
    strategy: dict[str, float] = {}

    @classmethod
    def from_config(cls, config: Settings) -> Hyperparameters:
        """The values of a search's own settings: DARTS's, unless they were changed."""
        of_strategy = attrgetter("proposals.strategy")(config)
        own = {name: attrgetter(f"{STRATEGY}{name}")(config) for name in of_strategy}
        values = {name: attrgetter(path)(config) for name, path in HYPERPARAMETERS.items()}
        return cls.model_validate({**values, "strategy": own})

    @property
    def values(self) -> dict[str, float | None]:
        """All of them by name; a strategy's number by its dotted path, `strategy.kl`."""
        own = {f"{STRATEGY}{name}": value for name, value in self.strategy.items()}
        return {**{name: getattr(self, name) for name in HYPERPARAMETERS}, **own}

    def with_values(self, values: Mapping[str, float]) -> Self:
        """These with others in place of those of the same names, which are as in `values`."""
        own = {name.removeprefix(STRATEGY): value for name, value in values.items() if name.startswith(STRATEGY)}
        ours = {name: value for name, value in values.items() if not name.startswith(STRATEGY)}
        return self.model_copy(update={**ours, "strategy": self.strategy | own})


STRATEGY = "strategy."
"""What the name of a strategy's own number begins with, where it stands beside the others."""

HYPERPARAMETERS = {
    name: str(field.metadata[0]) for name, field in Hyperparameters.model_fields.items() if field.metadata
}
"""Names, as `proposals.space` takes them too, and dotted paths of a search's settings; a strategy's own not."""


def setting_of(name: str) -> str:
    """The dotted path of the setting that a hyperparameter is taken from."""
    return name if name.startswith(STRATEGY) else HYPERPARAMETERS[name]


def _known(name: str) -> str:
    if name not in HYPERPARAMETERS:
        raise ValueError(f"allowed are {', '.join(HYPERPARAMETERS)}")
    return name


HyperparameterName = Annotated[str, AfterValidator(_known)]
