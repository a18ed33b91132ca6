"""What all pages with hover share: plotly's figure written as one file, and text that it does not take for markup."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


ON_TOP = {"y": 1, "yanchor": "top", "pad": {"t": 20}}


def plain_text(lines: Iterable[str]) -> str:
    """Lines of text, none of which plotly takes for markup."""
    return "<br>".join(html.escape(line, quote=False) for line in lines)


def page_of(figure: Figure, *, title: str, notes: str, x: str, y: str) -> str:
    """The figure with its words as a page that holds its script and loads nothing; `notes` stand below the title."""
    lines = notes.splitlines()
    figure.update_layout(
        title={"text": f"{plain_text([title])}<br><sub>{plain_text(lines)}</sub>", **ON_TOP},
        margin={"t": 70 + 22 * len(lines)},
        xaxis_title=plain_text([x]),
        yaxis_title=plain_text([y]),
        template="plotly_white",
        hoverlabel={"align": "left"},
    )
    page: str = figure.to_html(full_html=True, include_plotlyjs="inline")
    return page
