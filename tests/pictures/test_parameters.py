"""Error against size: what was evaluated beside the paper's table, whose numbers are held to its text."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from matplotlib.figure import Figure

from medarts_ops.pictures.parameters import EvaluatedSize, parameters_figure
from medarts_ops.published import TABLE_III, Table

PRINTED = """
DenseNet-BC [25]|25.6|-|manual|3.46|17.18
NASNet-A [9]|3.3|1800|RL|2.65|-
ENAS [7]|4.6|0.5|RL|2.89|-
AmoebaNet-B [8]|2.8|3150|evolution|2.55±0.05|-
E2EPP [19]|-|8.5|evolution|5.3|22.02
PNAS [26]|3.2|225|SMBO|3.41 ± 0.09|-
DARTS [5]|3.3|1.5|gradient|2.87|17.76
SNAS [23]|2.8|1.5|gradient|2.85|-
ProxylessNAS [16]|5.7|4|gradient|2.08|-
P-DARTS CIFAR10 [4]|3.4|0.3|gradient|2.5|16.55
P-DARTS CIFAR100 [4]|3.6|0.3|gradient|2.62|15.92
ASAP [27]|2.5|0.2|gradient|2.49 ± 0.04|15.6
PC-DARTS [18]|3.6|0.1|gradient|2.57±0.07|-
ME-DARTS CIFAR10|3.5|0.55|gradient + evolution|2.6|16.29
ME-DARTS CIFAR100|4.05|0.45|gradient + evolution|2.92|15.68
"""
"""Table III as the paper's text has it, tabs as bars."""


def points(figure: Figure) -> set[tuple[float, float]]:
    dots = [np.asarray(one.get_offsets()) for one in figure.axes[0].collections]
    return {(round(float(x), 6), round(float(y), 6)) for one in dots for x, y in one}


def number(cell: str) -> float | None:
    return None if cell == "-" else float(cell.split("±")[0])


def test_the_table_is_the_papers():
    rows = [line.split("|") for line in PRINTED.strip().splitlines()]
    assert [
        (row[0].split(" [")[0], number(row[1]), number(row[2]), row[3], number(row[4]), number(row[5])) for row in rows
    ] == [
        (
            row.architecture,
            row.parameters,
            row.gpu_days,
            row.method,
            row.test_error_cifar10,
            row.test_error_cifar100,
        )
        for row in TABLE_III
    ]


def test_an_evaluation_stands_at_its_parameters_and_its_error():
    figure = parameters_figure([EvaluatedSize("DARTS_V2", 3_300_000, 0.03)], "digits")
    assert points(figure) == {(3.3, 3.0)}
    axes = figure.axes[0]
    assert "DARTS_V2" in [text.get_text() for text in axes.texts]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("parameters (M), logarithmic", "test error (%)")
    assert figure.get_suptitle() == "test error on digits against parameters"


@pytest.mark.parametrize(("table", "rows"), [("cifar10", 14), ("cifar100", 7)])
def test_the_tables_rows_that_have_a_place_are_labelled_points(table: Table, rows: int):
    figure = parameters_figure([EvaluatedSize("mine", 3_400_000, 0.026)], "CIFAR", table)
    expected = {(row.parameters, row.test_error(table)) for row in TABLE_III if None not in (
        row.parameters, row.test_error(table))}  # fmt: skip
    assert points(figure) == {*expected, (3.4, 2.6)}
    assert len(expected) == rows
    texts = [text for text in figure.axes[0].texts if text.get_text()]
    names = {row.architecture for row in TABLE_III if None not in (row.parameters, row.test_error(table))}
    assert {text.get_text() for text in texts} == {*names, "mine"}
    boxes = [text.get_window_extent() for text in texts]
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    assert "Table III" in figure.axes[0].get_title()


def test_without_a_table_no_published_point_stands_there():
    assert points(parameters_figure([], "digits")) == set()
