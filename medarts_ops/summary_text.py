"""A summary in words: its cells, headings and statistics as people read them, and the whole as Markdown."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

from medarts_ops.quantities import duration, millions, percent
from medarts_ops.summary import Cell, Column, Estimate, Form, Statistic, Summary

EMPTY = "-"


def formatted(cell: Cell, column: Column, usual_n: int | None = None) -> str:
    """A cell as its column's form shows it; None and NaN are `-`.

    An estimate is its mean ± standard deviation, without ± where it rests on one seed: `2.76 ± 0.09 %`. A signed share
    has the 95 % interval of its mean instead: `−0.42 pp [−0.80, −0.04]`. Where an estimate's n is not `usual_n`, n
    stands behind it.
    """
    if cell is None or cell == "" or (isinstance(cell, float) and math.isnan(cell)):
        return EMPTY
    if isinstance(cell, str):
        return cell
    if not isinstance(cell, Estimate):
        return _number(cell, column.form)
    text = _estimate(cell, column.form)
    return text if usual_n in (None, cell.n) or text == EMPTY else f"{text} (n = {cell.n})"


def heading(column: Column) -> str:
    """The column's heading with whose figures these are: `test error (published)`."""
    if column.origin is None or column.origin in column.heading:
        return column.heading
    return f"{column.heading} ({column.origin})"


def cells_text(summary: Summary) -> tuple[tuple[str, ...], ...]:
    """The table's cells as text, row by row, beneath the columns; n stands where it is less than the column's most."""
    usual = {column.key: _most_seeds(summary, column) for column in summary.columns}
    return tuple(
        tuple(formatted(row.get(column.key), column, usual[column.key]) for column in summary.columns)
        for row in summary.rows
    )


def statistic_line(statistic: Statistic) -> str:
    """`Pearson r = 0.971 [0.912, 0.991], n = 40; published 0.9899`; a value that is not defined is said to be so."""
    interval = _interval(statistic.low, statistic.high, statistic_value)
    published = "" if statistic.published is None else f"; published {_minus(f'{statistic.published:g}')}"
    return f"{statistic.label} = {statistic_value(statistic.value)}{interval}, n = {statistic.n}{published}"


def statistic_value(value: float) -> str:
    """A statistic's number with three places."""
    if math.isnan(value):
        return "not defined"
    return _minus(f"{value:.3f}" if 0.001 <= abs(value) < 1000 or value == 0 else f"{value:.3g}")


def summary_markdown(summary: Summary) -> str:
    """All of a summary but its figure: title, table, statistics, caption, notes and failures.

    Whatever text others wrote stands in it as text: a `|` in a name is no border of a cell.
    """
    headings = [_escaped(heading(column)) for column in summary.columns]
    rules = [":---" if column.form == "text" else "---:" for column in summary.columns]
    rows = [[_escaped(cell) for cell in row] for row in cells_text(summary)]
    parts = [f"**{_escaped(summary.title)}**", "\n".join(map(_row, [headings, rules, *rows]))]
    if summary.statistics:
        parts.append(_bullets(statistics_lines(summary)))
    parts.append(_escaped(summary.caption))
    parts += [_escaped(note) for note in summary.notes]
    if summary.failures:
        parts.append(f"Failed:\n\n{_bullets(summary.failures)}")
    return "\n\n".join(parts) + "\n"


def with_method(statistic: Statistic) -> str:
    """The statistic's line, and how it was computed."""
    line = statistic_line(statistic)
    return f"{line} ({statistic.method})" if statistic.method else line


def statistics_lines(summary: Summary) -> tuple[str, ...]:
    """A line for each statistic, and how it was computed where that differs from the one before."""
    before = ["", *(one.method for one in summary.statistics)]
    return tuple(
        statistic_line(one) if one.method == last else with_method(one)
        for one, last in zip(summary.statistics, before, strict=False)
    )


def _estimate(estimate: Estimate, form: Form) -> str:
    """Mean and deviation, or mean and interval; their unit once."""
    mean = _number(estimate.mean, form)
    if mean == EMPTY:
        return EMPTY
    if form == "signed_share":
        return mean + _interval(estimate.low, estimate.high, lambda end: _minus(f"{100 * end:+.2f}"))
    if estimate.std is None or math.isnan(estimate.std):
        return mean
    if form == "millions" and abs(estimate.mean) >= 1e5:
        return f"{estimate.mean / 1e6:.2f} ± {estimate.std / 1e6:.2f} M"
    return f"{mean.removesuffix(' %').removesuffix(' d')} ± {_number(estimate.std, form)}"


def _interval(low: float | None, high: float | None, text: Callable[[float], str]) -> str:
    """Both ends in brackets; empty where one is missing or not defined."""
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return ""
    return f" [{text(low)}, {text(high)}]"


def _number(value: float, form: Form) -> str:
    """One number with its unit."""
    if not math.isfinite(value):
        return EMPTY if math.isnan(value) else _minus(f"{value:g}".replace("inf", "∞"))
    match form:
        case "share":
            text = percent(value)
        case "signed_share":
            text = f"{100 * value:+.2f} pp"  # percentage points
        case "percent":
            text = f"{value:.2f} %"
        case "count":
            text = f"{value:,.0f}"
        case "millions":
            text = millions(value)
        case "seconds":
            text = duration(value)
        case "days":
            text = f"{value:,.0f} d" if abs(value) >= 100 else f"{value:.2g} d"
        case "p":
            text = "< 0.001" if value < 0.001 else f"{value:.3f}"
        case _:
            text = str(value) if isinstance(value, int) else f"{value:.4g}"
    return _minus(text)


def _minus(text: str) -> str:
    return text.replace("-", "−")


def _most_seeds(summary: Summary, column: Column) -> int | None:
    cells = [row.get(column.key) for row in summary.rows]
    return max((cell.n for cell in cells if isinstance(cell, Estimate)), default=None)


def _escaped(text: str) -> str:
    """The text such that Markdown shows it as it is, in a line of its own or in a table."""
    specials = r"[\\`*|<>~&#]|(?<![^\W_])_|_(?![^\W_])|\](?=[(:\[])|(?<=!)\["
    return re.sub(specials, r"\\\g<0>", " ".join(text.split()))


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {_escaped(line)}" for line in lines)
