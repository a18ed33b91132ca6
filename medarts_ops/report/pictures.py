"""The report's pictures: drawn as SVG, which is sharp at every size, and written into the page."""

from __future__ import annotations

import base64
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from medarts_ops.evolution.ranking import chosen_from
from medarts_ops.pictures import gallery
from medarts_ops.pictures.figures import Draw, drawn_svg
from medarts_ops.pictures.parameters import EvaluatedSize
from medarts_ops.report.values import SearchReport
from medarts_ops.strategies.reading import reader_of

PIXELS = 96  # of the page on an inch of a figure
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PageImage:
    """A picture in the page: its address is its content; width and height are its own, in pixels of the page."""

    source: str
    width: int
    height: int
    alt: str


def report_pictures(report: SearchReport) -> dict[str, PageImage]:
    """All pictures of the page by their place; one that can't be drawn is named in a warning and left out.

    Places: `front/<stage>`, `lineage`, `genotype`, `alpha`, `alpha-epochs`, `training`, and of each evaluation
    `evaluation/<run id>`, `confusion/<run id>`, `mistakes/<run id>`; `parameters`.
    """
    return page_images(_places(report), report.search_id)


def page_images(places: Mapping[str, tuple[str, Draw]], name: str) -> dict[str, PageImage]:
    """What is drawn for each place, with what it shows in words; warnings name the job whose report this is."""
    drawn: dict[str, PageImage] = {}
    for place, (alt, draw) in places.items():
        try:
            content, (width, height) = drawn_svg(draw)
        except Exception as error:  # whatever a plotting library stumbles over: the words are worth having without it
            _logger.warning("picture %s of the report on %s can't be drawn: %s", place, name, error)
            continue
        source = f"data:image/svg+xml;base64,{base64.b64encode(content).decode()}"
        drawn[place] = PageImage(source, round(PIXELS * width), round(PIXELS * height), alt)
    return drawn


def _places(report: SearchReport) -> dict[str, tuple[str, Draw]]:
    found: dict[str, tuple[str, Draw]] = {}
    for stage in report.stages:
        pictures = gallery.pictures_of_stage(stage, report.search_id, chosen_from(stage, report.config))
        if pictures:
            found[f"front/{stage.index}"] = (f"Pareto fronts of stage {stage.name}", pictures["front"])
    if report.result is not None:
        best, space = report.result.best, report.config.space.search_space()
        read = reader_of(report.config, best.trained.individual)
        pictures = gallery.pictures_of_search(report.result)
        yardstick = report.result.stages[best.trained.individual.stage].yardstick
        pictures |= gallery.pictures_of_individual(best.trained, report.epoch_alphas, space, read, yardstick)
        found |= {place: (ALTS[place].format(best.id), draw) for place, draw in pictures.items()}
    for one in report.evaluations:
        pictures = gallery.pictures_of_evaluation(one.result, one.name)
        for place, name in (("evaluation", "training"), ("confusion", "confusion"), ("mistakes", "mistakes")):
            if name in pictures:
                found[f"{place}/{one.run_id}"] = (f"{name} of {one.name}", pictures[name])
    return found | _sizes(report)


ALTS = {
    "lineage": "family tree of the search that found {}",
    "genotype": "cells of the genotype of {}",
    "alpha": "architecture parameters of {}",
    "alpha-epochs": "how the architecture parameters of {} moved",
    "training": "search training of {}",
}
"""What a picture shows, in words, of the individual that was found."""


def _sizes(report: SearchReport) -> dict[str, tuple[str, Draw]]:
    """Error against size on the newest evaluation's images."""
    if not report.evaluations:
        return {}
    dataset = report.evaluations[-1].started.dataset
    points = [
        EvaluatedSize(one.name, one.result.parameters, one.result.test_error)
        for one in report.evaluations
        if one.started.dataset.fingerprint == dataset.fingerprint
    ]
    drawn = gallery.pictures_of_sizes(points, dataset.name)
    return {place: ("test error against parameters", draw) for place, draw in drawn.items()}
