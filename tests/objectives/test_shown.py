"""Values of objectives in text and on axes."""

from __future__ import annotations

import math

import pytest

from medarts_ops import registry
from medarts_ops.objectives.measuring import Objective
from medarts_ops.objectives.registry import OBJECTIVES
from medarts_ops.objectives.shown import axis, exact_objective, is_of_counted_network, objective
from medarts_ops.quantities import percent


@pytest.fixture(autouse=True)
def only_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})


def test_an_objective_is_shown_in_its_unit() -> None:
    assert objective("accuracy", 0.6125) == percent(0.6125) == "61.25 %"
    assert objective("params", 3_349_342) == objective("macs", 3_349_342) == "3.35 M"
    assert objective("latency", 0.0123456) == "0.01235 ms"
    assert objective("accuracy", math.nan) == "nan"


def test_parameters_are_exact_where_one_network_stands_alone() -> None:
    assert exact_objective("params", 3_349_342) == "3,349,342"
    assert exact_objective("macs", 3_349_342) == "3.35 M"


@pytest.mark.parametrize(
    ("name", "label", "factor"),
    [
        ("accuracy", "accuracy (%)", 100),
        ("params", "params (M)", 1e-6),
        ("macs", "multiply-adds (M)", 1e-6),
        ("latency", "latency (ms)", 1),
        ("of_others", "of_others", 1),
    ],
)
def test_an_objective_has_an_axis_with_its_unit(name: str, label: str, factor: float) -> None:
    assert axis(name) == (label, factor)


def test_an_objective_of_a_package_that_is_missing_here_is_shown_as_a_number() -> None:
    assert (objective("of_others", 16.0), exact_objective("of_others", 0.123456)) == ("16", "0.1235")
    assert not is_of_counted_network("of_others")


def test_a_registered_objective_is_shown_as_it_says() -> None:
    energy = Objective(lambda trained, context: 1.0, "minimize", "energy of an image", label="energy", unit="mJ")
    OBJECTIVES.register("energy", energy)
    assert objective("energy", 1.25) == "1.25 mJ" and axis("energy") == ("energy (mJ)", 1.0)
