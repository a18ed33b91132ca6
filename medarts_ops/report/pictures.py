"""The report's pictures: drawn as SVG, which is sharp at every size, and written into the page."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from medarts_ops.evolution.ranking import chosen_from
from medarts_ops.pictures.alpha_epochs import alpha_epochs_figure
from medarts_ops.pictures.alphas import alpha_figure
from medarts_ops.pictures.cells import genotype_figure
from medarts_ops.pictures.curves import evaluation_curves, search_curves
from medarts_ops.pictures.figures import svg_bytes
from medarts_ops.pictures.fronts import front_figure
from medarts_ops.pictures.lineage import lineage_figure
from medarts_ops.pictures.parameters import EvaluatedSize, parameters_figure, table_of
from medarts_ops.report.values import ReportedEvaluation, SearchReport

if TYPE_CHECKING:
    from medarts_ops.individual import RankedIndividual
    from medarts_ops.pictures.figures import Figure

PIXELS = 96
"""Of the page on an inch of a figure."""


@dataclass(frozen=True)
class PageImage:
    """A picture in the page: its address is its content; `width` is its own, in pixels of the page."""

    source: str
    width: int
    height: int
    alt: str


def report_pictures(report: SearchReport) -> dict[str, PageImage]:
    """All pictures of the page by their place: `front/<stage>`, `lineage`, `genotype`, `evaluation/<run id>`, …"""
    figures: dict[str, tuple[str, Callable[[], Figure]]] = {}
    for stage in report.stages:
        if stage.ranked:
            chosen = chosen_from(stage, report.config.stages)
            figures[f"front/{stage.index}"] = (
                f"Pareto fronts of stage {stage.name}",
                lambda stage=stage, chosen=chosen: front_figure(stage, report.search_id, chosen),  # type: ignore[misc]
            )
    result = report.result
    if result is not None:
        figures["lineage"] = ("family tree of the search", lambda: lineage_figure(result))
        figures |= _found(report, result.best)
    for evaluation in report.evaluations:
        figures |= _evaluation(evaluation)
    if len(report.evaluations) > 1 or any(table_of(one.started.dataset.name) for one in report.evaluations):
        figures["parameters"] = ("test error against parameters", lambda: _sizes(report))
    return {place: _image(draw(), alt) for place, (alt, draw) in figures.items()}


def _found(report: SearchReport, best: RankedIndividual) -> dict[str, tuple[str, Callable[[], Figure]]]:
    trained, space = best.trained, report.config.space.search_space()
    epochs = [record.alpha for record in trained.history if record.alpha is not None]
    figures: dict[str, tuple[str, Callable[[], Figure]]] = {
        "genotype": ("cells of the genotype that was found", lambda: genotype_figure(trained.genotype, best.id)),
        "alpha": (f"architecture parameters of {best.id}", lambda: alpha_figure(trained.alpha, space, best.id)),
        "training": (f"search training of {best.id}", lambda: search_curves(trained.history, best.id)),
    }
    if epochs and len(epochs) == len(trained.history):
        born = trained.individual.alpha
        figures["alpha-epochs"] = (
            f"how the architecture parameters of {best.id} moved",
            lambda: alpha_epochs_figure(born, epochs, space, best.id),
        )
    return figures


def _evaluation(evaluation: ReportedEvaluation) -> dict[str, tuple[str, Callable[[], Figure]]]:
    name, history = evaluation.name, evaluation.result.history
    return {f"evaluation/{evaluation.run_id}": (f"training of {name}", lambda: evaluation_curves(history, name))}


def _sizes(report: SearchReport) -> Figure:
    """The newest evaluation's dataset decides: points of other images would mean nothing beside it."""
    dataset = report.evaluations[-1].started.dataset
    points = [
        EvaluatedSize(one.name, one.result.parameters, one.result.test_error)
        for one in report.evaluations
        if one.started.dataset.fingerprint == dataset.fingerprint
    ]
    return parameters_figure(points, dataset.name, table_of(dataset.name))


def _image(figure: Figure, alt: str) -> PageImage:
    width, height = figure.get_size_inches()
    source = f"data:image/svg+xml;base64,{base64.b64encode(svg_bytes(figure)).decode()}"
    return PageImage(source, round(PIXELS * width), round(PIXELS * height), alt)
