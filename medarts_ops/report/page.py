"""The report as one page of HTML that loads nothing: words, tables, and the pictures inside."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined

from medarts_ops.config_writing import settings_file, shown
from medarts_ops.objectives.shown import exact_objective, is_of_counted_network, objective
from medarts_ops.provenance import installed_version
from medarts_ops.quantities import counted, distance, duration, hours, millions, percent
from medarts_ops.report.pictures import report_pictures
from medarts_ops.report.tables import changed_settings, settings_table, stage_view
from medarts_ops.report.values import SearchReport
from medarts_ops.space.formats import format_darts

STATES = {"finished": "finished", "stopped": "stopped before its end", "unfinished": "not finished yet"}


def report_html(report: SearchReport, written: datetime | None = None) -> str:
    """The page. It is whole in itself: no script, no other file, no network; light or dark as the reader's system is.

    `written` is the time at its foot, with a time zone; now by default.
    """
    when = datetime.now(UTC) if written is None else written
    page: str = _template().render(
        report=report,
        state=STATES[report.state],
        result=report.result,
        stages=[stage_view(report, stage) for stage in report.stages],
        pictures=report_pictures(report),
        found_error=_found_error(report),
        settings=settings_table(report.config),
        changed=changed_settings(report.config),
        search_file=settings_file(report.config),
        written=f"{when.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
        version=installed_version("medarts-ops") or "",
        style=_text("page.css"),
    )
    return page


def _found_error(report: SearchReport) -> float | None:
    """The test error of the newest evaluation of what was found; None where there is none."""
    genotype = None if report.result is None else report.result.best.trained.genotype
    errors = [one.result.test_error for one in report.evaluations if one.result.genotype == genotype]
    return errors[-1] if errors else None


def _template() -> Any:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    formats = (counted, distance, duration, hours, millions, percent, settings_file, shown)
    environment.filters |= {
        **{each.__name__: each for each in formats},
        "darts": format_darts,
        "exact": lambda value, name: exact_objective(name, value),
        "in_unit": lambda value, name: objective(name, value),
    }
    environment.tests["of_counted_network"] = is_of_counted_network
    return environment.from_string(_text("page.html"))


def _text(name: str) -> str:
    return files("medarts_ops.report").joinpath(name).read_text(encoding="utf-8")
