"""The report as one page of HTML that loads nothing: words, tables, and the pictures inside."""

from __future__ import annotations

from datetime import datetime

from medarts_ops.config_writing import settings_file
from medarts_ops.evaluated import EvaluationResult
from medarts_ops.report.pictures import report_pictures
from medarts_ops.report.tables import changed_settings, settings_table, stage_view
from medarts_ops.report.template import STATES, rendered
from medarts_ops.report.values import SearchReport


def report_html(report: SearchReport, written: datetime | None = None) -> str:
    """The page. It is whole in itself: no script, no other file, no network; light or dark as the reader's system is.

    `written` is the time at its foot, with a time zone; now by default.
    """
    values = {
        "report": report,
        "state": STATES[report.state],
        "result": report.result,
        "stages": [stage_view(report, stage) for stage in report.stages],
        "pictures": report_pictures(report),
        "evaluated": _found_evaluation(report),
        "settings": settings_table(report.config),
        "changed": changed_settings(report.config),
        "search_file": settings_file(report.config, report.evaluate),
    }
    return rendered("page.html", values, written)


def _found_evaluation(report: SearchReport) -> EvaluationResult | None:
    """The newest evaluation of what was found; None where there is none."""
    genotype = None if report.result is None else report.result.best.trained.genotype
    results = [one.result for one in report.evaluations if one.result.genotype == genotype]
    return results[-1] if results else None
