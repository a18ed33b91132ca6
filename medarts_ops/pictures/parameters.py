"""Test error against size: evaluated genotypes beside the paper's Table III."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from medarts_ops.pictures.figures import INK, LABEL_SIZE, label_points, new_figure, plain_axes
from medarts_ops.published import DATASETS, TABLE_III, TABLE_III_SOURCE, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LABELLED = 40  # evaluations with their name beside them, the last ones
OURS, PAPER, OTHERS = "#D55E00", "#0072B2", "#6B6B6B"


@dataclass(frozen=True)
class EvaluatedSize:
    """An evaluation as a point: its name, the network's parameters, the last epoch's test error in 0…1."""

    name: str
    parameters: int
    test_error: float


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
