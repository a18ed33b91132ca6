"""What happened epoch by epoch: of an individual in its search, of a genotype in its evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from medarts_ops.errors import RunError
from medarts_ops.individual import EpochRecord, EvaluationEpoch, Yardstick
from medarts_ops.pictures.figures import CHANCE, INK, LABEL_SIZE, colour, new_figure, plain_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

Line = tuple[str, list[float | None]]


def search_curves(history: Sequence[EpochRecord], name: str, yardstick: Yardstick | None = None) -> Figure:
    """Accuracies, losses, skip connections and the largest mixture weights of the individual `name`, over epochs.

    Losses of α start after its warm-up. A line is chance, where `yardstick` says what that is. No epoch is a RunError.
    """
    _need_epochs(len(history), name)
    figure = new_figure(9.0, 6.4, f"search training of {name}")
    plots = figure.subplots(2, 2)
    figure.subplots_adjust(left=0.08, right=0.98, bottom=0.08, top=0.88, hspace=0.42, wspace=0.24)
    epochs = [record.epoch for record in history]
    _plot(plots[0, 0], epochs, "accuracy (%)", "accuracy", [
        ("w half, while training", [100 * record.train_accuracy for record in history]),
        ("accuracy", [100 * record.valid_accuracy for record in history]),
    ])  # fmt: skip
    if yardstick is not None:
        plots[0, 0].axhline(100 * yardstick.chance, gid="chance", label="chance", **CHANCE)
        plots[0, 0].legend(fontsize=LABEL_SIZE, framealpha=0.8)
    _plot(plots[0, 1], epochs, "cross entropy (nats an image)", "losses", [
        ("w steps", [record.train_loss for record in history]),
        ("validation", [record.valid_loss for record in history]),
        ("α steps", [record.alpha_loss for record in history]),
    ])  # fmt: skip
    _plot(plots[1, 0], epochs, "skip_connect (edges a cell)", "skip connections in the genotype", [
        ("normal cell", [float(record.normal_skips) for record in history]),
        ("reduction cell", [float(record.reduce_skips) for record in history]),
    ])  # fmt: skip
    _whole_numbers(plots[1, 0].yaxis)
    plots[1, 0].set_ylim(bottom=-0.3)
    _plot(plots[1, 1], epochs, "largest weight (mean over edges)", "how decided α is", [
        ("normal cell", [record.max_mixture_normal for record in history]),
        ("reduction cell", [record.max_mixture_reduce for record in history]),
    ])  # fmt: skip
    return figure


def evaluation_curves(history: Sequence[EvaluationEpoch], name: str, chosen: int | None = None) -> Figure:
    """Losses and error of the evaluation `name`, over epochs: on the test set, or on what was held back to validate.

    The last error, which is the result, is marked, or that of the `chosen` epoch, which was tested.
    """
    _need_epochs(len(history), name)
    figure = new_figure(9.0, 3.8, f"evaluation of {name}")
    losses, errors = figure.subplots(1, 2)
    figure.subplots_adjust(left=0.08, right=0.98, bottom=0.14, top=0.8, wspace=0.24)
    epochs, by = [record.epoch for record in history], history[-1].measured_by
    _plot(losses, epochs, "cross entropy (nats an image)", "losses", [
        ("training", [record.train_loss for record in history]),
        (by, [record.measured_loss for record in history]),
    ])  # fmt: skip
    marked = history[-1 if chosen is None else chosen]
    when, error = "the last" if chosen is None else "the chosen", 100 * marked.measured_error
    _plot(errors, epochs, "error (%)", f"{by} error: {error:.2f} % after {when} epoch", [
        ("training", [100 * (1 - record.train_accuracy) for record in history]),
        (by, [100 * record.measured_error for record in history]),
    ])  # fmt: skip
    ring = {"s": 110, "facecolors": "none", "edgecolors": INK, "linewidths": 1.4, "zorder": 4}
    errors.scatter([marked.epoch], [error], gid="last" if chosen is None else "chosen", **ring)
    return figure


def _need_epochs(count: int, name: str) -> None:
    if not count:
        raise RunError(f"{name} has no finished epoch: nothing to draw; allowed is one epoch or more")


def _plot(axes: Axes, epochs: list[int], y: str, title: str, lines: Sequence[Line]) -> None:
    plain_axes(axes, "epoch (from 0)", y, title)
    _whole_numbers(axes.xaxis)
    for place, (label, values) in enumerate(lines):
        known = [(epoch, value) for epoch, value in zip(epochs, values, strict=True) if value is not None]
        if known:
            style = {"linestyle": ("-", "--", ":")[place], "marker": ("o", "s", "^")[place]}
            size = 4 if len(known) <= 60 else 0
            axes.plot(*np.transpose(known), color=colour(place), label=label, markersize=size, **style)  # type: ignore[arg-type]
    axes.legend(fontsize=LABEL_SIZE, framealpha=0.8)


def _whole_numbers(axis: Axis) -> None:
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
