"""What an experiment says, as one value: a table, statistics and what its figure shows. Whoever shows it reads this."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from medarts_ops.experiment import ExperimentKind, Scale


@dataclass(frozen=True)
class Estimate:
    """The mean of what was measured with `n` seeds.

    `std` is the sample's standard deviation (ddof 1), `sem` the mean's standard error, `low` and `high` the mean's
    95 % interval by Student's t; all four are None where `n` is 1.
    """

    mean: float
    n: int
    std: float | None = None
    sem: float | None = None
    low: float | None = None
    high: float | None = None


Cell = Estimate | float | int | str | None
"""What stands in a table; None is empty."""

Form = Literal["text", "share", "signed_share", "percent", "number", "count", "millions", "seconds", "days", "p"]
"""How a column's cells are shown.

`share` is a number in 0…1, shown as percent; `signed_share` a difference of such, in percentage points with its sign;
`percent` a published figure that is percent already; `seconds` and `days` are times; `p` a p-value.
"""


@dataclass(frozen=True)
class Column:
    """A column of the table: `key` is its name for programs, `heading` for people.

    `origin` says whose figures these are: measured here, or published by somebody; None where it is neither.
    """

    key: str
    heading: str
    form: Form = "text"
    origin: Literal["measured here", "published"] | None = None


@dataclass(frozen=True)
class Statistic:
    """One number over the whole experiment, such as a correlation, with its 95 % interval where there is one.

    `n` is over how many it is; `published` is the paper's figure of the same, `method` how it was computed, in a
    few words. A value that is not defined is NaN.
    """

    key: str
    label: str
    value: float
    n: int
    low: float | None = None
    high: float | None = None
    published: float | None = None
    method: str = ""


@dataclass(frozen=True)
class Bar:
    """A bar of a chart: what was measured, the single values behind it, and a published figure; all in 0…1."""

    label: str
    estimate: Estimate | None
    values: tuple[float, ...] = ()
    published: float | None = None


@dataclass(frozen=True)
class Bars:
    """A chart of one bar for each subject; `unit` labels its axis. Values are shares in 0…1 where `is_share`."""

    unit: str
    bars: tuple[Bar, ...]
    is_share: bool = True


@dataclass(frozen=True)
class Point:
    """An ordered pair of means of one subject: both axes in 0…1. `group` is which pair of conditions it is of."""

    x: float
    y: float
    subject: str
    group: str


@dataclass(frozen=True)
class Pairs:
    """A scatter of ordered pairs with their least-squares line y = `slope` x + `intercept` (None: no line)."""

    x_label: str
    y_label: str
    points: tuple[Point, ...]
    slope: float | None
    intercept: float | None


@dataclass(frozen=True)
class Summary:
    """An experiment summed up.

    Attributes:
        caption: the protocol in a sentence: seeds, epochs, images, network size, scale; it belongs below the table.
        rows: cells by the columns' keys; a row may lack some.
        failures: lines that name what failed.
        notes: sentences that a reader needs: what was taken over from before, what could not be trained.
    """

    name: str
    kind: ExperimentKind
    scale: Scale
    title: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Mapping[str, Cell], ...]
    statistics: tuple[Statistic, ...] = ()
    figure: Bars | Pairs | None = None
    failures: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
