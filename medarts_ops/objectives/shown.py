"""How values of objectives are shown: in text, and on axes."""

from __future__ import annotations

import math
from collections.abc import Mapping

from medarts_ops.errors import ConfigError
from medarts_ops.objectives.measuring import Objective
from medarts_ops.objectives.registry import OBJECTIVES
from medarts_ops.quantities import millions, percent

FACTORS = {"%": 100.0, "M": 1e-6}  # from a value to the number that stands before its unit; 1 for other units


def objective(name: str, value: float) -> str:
    """A value in its objective's unit; with four digits where that is not known, as one of a missing package."""
    data = _known(name)
    unit = data.unit if data else ""
    if not math.isfinite(value):
        return str(value)
    if unit == "%":
        return percent(value)
    return millions(value) if unit == "M" else f"{value:.4g} {unit}".rstrip()


def objectives(values: Mapping[str, float]) -> str:
    """`accuracy 61.25 %, params 3.35 M`: several, by their names."""
    return ", ".join(f"{name} {objective(name, value)}" for name, value in values.items())


def exact_objective(name: str, value: float) -> str:
    """As `objective`, but parameters to the last one: where one network stands alone."""
    data = _known(name)
    return f"{value:,.0f}" if data and data.is_count else objective(name, value)


def axis(name: str) -> tuple[str, float]:
    """The axis label of an objective, with its unit, and what to multiply values by for it."""
    data = _known(name)
    if data is None:
        return name, 1.0
    label = data.label or name
    return f"{label} ({data.unit})" if data.unit else label, FACTORS.get(data.unit, 1.0)


def is_of_counted_network(name: str) -> bool:
    """Whether values of the objective are the full-size network's."""
    data = _known(name)
    return data is not None and data.of_counted_network


def _known(name: str) -> Objective | None:
    try:
        return OBJECTIVES.get(name)
    except ConfigError:  # a run may have been made where other packages are
        return None
