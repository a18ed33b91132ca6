"""The paper's own figures, as printed: Table III, Table IV, Fig. 5 and Fig. 6. Never measured here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Table = Literal["cifar10", "cifar100"]
"""The datasets that the paper has results on."""

DATASETS: dict[Table, str] = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}


@dataclass(frozen=True)
class PublishedResult:
    """A row of Table III: errors in percent, parameters in millions, search cost in GPU days; None is a dash there.

    `in_the_space` is whether the DARTS space can hold it: what can't be trained here is a published figure alone.
    """

    architecture: str
    method: str
    test_error_cifar10: float
    test_error_cifar100: float | None
    parameters: float | None
    gpu_days: float | None
    in_the_space: bool = True

    def test_error(self, dataset: Table) -> float | None:
        """The test error on that dataset in percent."""
        return self.test_error_cifar10 if dataset == "cifar10" else self.test_error_cifar100


TABLE_III_SOURCE = "ME-DARTS, Table III"
TABLE_III = (
    PublishedResult("DenseNet-BC", "manual", 3.46, 17.18, 25.6, None, in_the_space=False),
    PublishedResult("NASNet-A", "RL", 2.65, None, 3.3, 1800.0),
    PublishedResult("ENAS", "RL", 2.89, None, 4.6, 0.5),
    PublishedResult("AmoebaNet-B", "evolution", 2.55, None, 2.8, 3150.0),
    PublishedResult("E2EPP", "evolution", 5.3, 22.02, None, 8.5, in_the_space=False),
    PublishedResult("PNAS", "SMBO", 3.41, None, 3.2, 225.0),
    PublishedResult("DARTS", "gradient", 2.87, 17.76, 3.3, 1.5),
    PublishedResult("SNAS", "gradient", 2.85, None, 2.8, 1.5),
    PublishedResult("ProxylessNAS", "gradient", 2.08, None, 5.7, 4.0, in_the_space=False),
    PublishedResult("P-DARTS CIFAR10", "gradient", 2.5, 16.55, 3.4, 0.3),
    PublishedResult("P-DARTS CIFAR100", "gradient", 2.62, 15.92, 3.6, 0.3),
    PublishedResult("ASAP", "gradient", 2.49, 15.6, 2.5, 0.2),
    PublishedResult("PC-DARTS", "gradient", 2.57, None, 3.6, 0.1),
    PublishedResult("ME-DARTS CIFAR10", "gradient + evolution", 2.6, 16.29, 3.5, 0.55),
    PublishedResult("ME-DARTS CIFAR100", "gradient + evolution", 2.92, 15.68, 4.05, 0.45),
)
"""The paper's Table III as printed there, without the deviations of repeated trainings."""

OF_ZOO: Mapping[str, str] = {
    "NASNet": "NASNet-A",
    "ENAS": "ENAS",
    "PNASNet": "PNAS",
    "DARTS_V2": "DARTS",
    "SNAS": "SNAS",
    "PDARTS": "P-DARTS CIFAR10",
    "PC_DARTS_cifar": "PC-DARTS",
}
"""Which row of Table III a published genotype stands for. The zoo's AmoebaNet is the -A, which has no row there."""

TABLE_IV: Mapping[str, Mapping[Table, float]] = {
    "g_init": {"cifar10": 3.32, "cifar100": 17.18},
    "g_mid": {"cifar10": 2.82, "cifar100": 16.34},
    "g_best": {"cifar10": 2.6, "cifar100": 15.68},
}
"""Test errors in percent along the line of descent, first to last stage."""

FIG_5_CORRELATION = 0.9899
"""Accuracy on a D_sample against that on the next larger one: 10 networks, 5 sizes, means of 5 trainings, CIFAR-10."""

FIG_6_CORRELATION = 0.8827
"""Accuracy at 16×16 against that at 32×32: 10 networks, means of 5 trainings, CIFAR-10."""


def table_of(dataset: str) -> Table | None:
    """The part of the tables that is on this dataset, if they have one."""
    return next((table for table in DATASETS if table == dataset), None)


def row_of(architecture: str) -> PublishedResult:
    """The row of Table III of that name."""
    return next(row for row in TABLE_III if row.architecture == architecture)
