"""What an experiment's figure shows, as a picture and as a page with hover."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medarts_ops.errors import SearchError
from medarts_ops.pictures.bars import bars_figure, bars_html
from medarts_ops.pictures.pairs import pairs_figure, pairs_html
from medarts_ops.summary import Bars, Pairs, Summary

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def experiment_figure(summary: Summary) -> Figure:
    """The summary's bars or pairs, with its caption below.

    Raises:
        SearchError: the summary has no figure.
    """
    shown = _figure_of(summary)
    return bars_figure(summary, shown) if isinstance(shown, Bars) else pairs_figure(summary, shown)


def experiment_html(summary: Summary) -> str:
    """The same picture as a page of its own, whose points tell their numbers on hovering.

    The page holds its script and loads nothing.

    Raises:
        SearchError: the summary has no figure.
    """
    shown = _figure_of(summary)
    return bars_html(summary, shown) if isinstance(shown, Bars) else pairs_html(summary, shown)


def _figure_of(summary: Summary) -> Bars | Pairs:
    if summary.figure is None:
        raise SearchError(f"the summary of {summary.name!r} has no figure: nothing to draw; its table says all")
    return summary.figure
