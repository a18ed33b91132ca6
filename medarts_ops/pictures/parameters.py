"""Test error against size: evaluated genotypes beside the paper's Table III."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from medarts_ops.pictures.figures import INK, LABEL_SIZE, label_points, new_figure, plain_axes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LABELLED = 40  # evaluations with their name beside them, the last ones
OURS, PAPER, OTHERS = "#D55E00", "#0072B2", "#6B6B6B"
Table = Literal["cifar10", "cifar100"]
DATASETS: dict[Table, str] = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}


@dataclass(frozen=True)
class PublishedResult:
    """A row of Table III: errors in percent, parameters in millions, search cost in GPU days; None is a dash there."""

    architecture: str
    method: str
    test_error_cifar10: float
    test_error_cifar100: float | None
    parameters: float | None
    gpu_days: float | None

    def test_error(self, dataset: Table) -> float | None:
        """The test error on that dataset in percent."""
        return self.test_error_cifar10 if dataset == "cifar10" else self.test_error_cifar100


@dataclass(frozen=True)
class EvaluatedSize:
    """An evaluation as a point: its name, the network's parameters, the last epoch's test error in 0…1."""

    name: str
    parameters: int
    test_error: float


TABLE_III_SOURCE = "ME-DARTS, Table III"
TABLE_III = (
    PublishedResult("DenseNet-BC", "manual", 3.46, 17.18, 25.6, None),
    PublishedResult("NASNet-A", "RL", 2.65, None, 3.3, 1800.0),
    PublishedResult("ENAS", "RL", 2.89, None, 4.6, 0.5),
    PublishedResult("AmoebaNet-B", "evolution", 2.55, None, 2.8, 3150.0),
    PublishedResult("E2EPP", "evolution", 5.3, 22.02, None, 8.5),
    PublishedResult("PNAS", "SMBO", 3.41, None, 3.2, 225.0),
    PublishedResult("DARTS", "gradient", 2.87, 17.76, 3.3, 1.5),
    PublishedResult("SNAS", "gradient", 2.85, None, 2.8, 1.5),
    PublishedResult("ProxylessNAS", "gradient", 2.08, None, 5.7, 4.0),
    PublishedResult("P-DARTS CIFAR10", "gradient", 2.5, 16.55, 3.4, 0.3),
    PublishedResult("P-DARTS CIFAR100", "gradient", 2.62, 15.92, 3.6, 0.3),
    PublishedResult("ASAP", "gradient", 2.49, 15.6, 2.5, 0.2),
    PublishedResult("PC-DARTS", "gradient", 2.57, None, 3.6, 0.1),
    PublishedResult("ME-DARTS CIFAR10", "gradient + evolution", 2.6, 16.29, 3.5, 0.55),
    PublishedResult("ME-DARTS CIFAR100", "gradient + evolution", 2.92, 15.68, 4.05, 0.45),
)
"""The paper's Table III as printed there, without the deviations of repeated trainings."""


def table_of(dataset: str) -> Table | None:
    """The part of Table III that is on this dataset, if it has one."""
    return next((table for table in DATASETS if table == dataset), None)


def parameters_figure(evaluations: Sequence[EvaluatedSize], dataset: str, table: Table | None = None) -> Figure:
    """Test error of the last epoch against parameters of evaluated genotypes.

    `dataset` says what they were evaluated on. `table` puts Table III's results on that dataset beside them, those rows
    that have parameters and an error; leave it out for other data, where they mean nothing. With neither evaluations
    nor a table the picture is empty.
    """
    figure = new_figure(9.0, 6.0, f"test error on {dataset} against parameters")
    axes = figure.add_axes((0.08, 0.1, 0.89, 0.74))
    beside = ""
    if table is not None:
        beside = f"beside {TABLE_III_SOURCE}, {DATASETS[table]}; rows without parameters or error are left out"
    plain_axes(axes, "parameters (M), logarithmic", "test error (%)", beside)
    ours = [(one.parameters / 1e6, 100 * one.test_error, one.name, OURS) for one in evaluations]
    published = _published(table)
    points = ours + published
    for ink, label, marker, size in (
        (OURS, "evaluated here", "*", 150),
        (PAPER, f"the paper's own ({TABLE_III_SOURCE})", "D", 40),
        (OTHERS, f"others ({TABLE_III_SOURCE})", "o", 34),
    ):
        group = [(x, y) for x, y, _, of in points if of == ink]
        if group:
            xs, ys = np.transpose(group)
            axes.scatter(xs, ys, s=size, marker=marker, color=ink, label=label, zorder=3)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("{x:g}")
    axes.tick_params(axis="x", which="minor", labelsize=LABEL_SIZE - 1, labelcolor=INK)
    axes.margins(0.12)
    if points:
        figure.legend(fontsize=LABEL_SIZE, frameon=False, loc="upper center", bbox_to_anchor=(0.5, 0.95), ncols=3)
    label_points(axes, ours[-LABELLED:] + published)
    return figure


def _published(table: Table | None) -> list[tuple[float, float, str, str]]:
    if table is None:
        return []
    points = [
        (row.parameters, error, row.architecture, PAPER if row.architecture.startswith("ME-DARTS") else OTHERS)
        for row in TABLE_III
        if (error := row.test_error(table)) is not None and row.parameters is not None
    ]
    return sorted(points, key=lambda point: point[3] == OTHERS)  # the paper's own take their labels' places first
