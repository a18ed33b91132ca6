"""The templates filled in: what all pages have in common, and how their values read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape

from medarts_ops.class_report_text import COLUMNS, class_rows, facts_of
from medarts_ops.config_writing import settings_file, shown
from medarts_ops.objectives.ranking_warnings import ranking_warnings
from medarts_ops.objectives.shown import exact_objective, is_of_counted_network, objective
from medarts_ops.provenance import installed_version
from medarts_ops.quantities import counted, distance, duration, hours, millions, percent
from medarts_ops.report.tables import how_made
from medarts_ops.space.collapse import collapse_warning
from medarts_ops.space.formats import format_darts
from medarts_ops.summary_text import heading
from medarts_ops.visible import visible

STATES = {"finished": "finished", "stopped": "stopped before its end", "unfinished": "not finished yet"}


def rendered(template: str, values: Mapping[str, Any], written: datetime | None) -> str:
    """The page of a template, whole in itself; `written` is the time at its foot, with a time zone, None: now."""
    when = datetime.now(UTC) if written is None else written
    common = {
        "written": f"{when.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
        "version": installed_version("medarts-ops") or "",
        "style": _text("page.css"),
        "class_columns": COLUMNS,
    }
    page: str = _environment().get_template(template).render(common | dict(values))
    return page


def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(_text),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown_whole,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    formats = (counted, distance, duration, heading, hours, millions, percent, settings_file, shown)
    sentences = (collapse_warning, how_made, class_rows, facts_of, ranking_warnings)
    environment.filters |= {
        **{each.__name__: each for each in (*formats, *sentences)},
        "breakable": _breakable,
        "darts": format_darts,
        "exact": lambda value, name: exact_objective(name, value),
        "stop": lambda stop: f"{stop.epoch + 1} ({stop.criterion})",
        "in_unit": lambda value, name: objective(name, value),
    }
    environment.tests["of_counted_network"] = is_of_counted_network
    return environment


def _breakable(path: str) -> Markup:
    """A setting's name, which a line may end within, after a dot or an underscore."""
    return Markup(re.sub(r"([._])", r"\1<wbr>", str(escape(visible(path)))))


def _shown_whole(value: Any) -> Any:
    """Names come from anybody, and HTML has no way to say a control character."""
    return (
        visible(value, line_breaks=True) if type(value) is str else value
    )  # markup, a subclass, is the templates' own


def _text(name: str) -> str:
    return files("medarts_ops.report").joinpath(name).read_text(encoding="utf-8")
