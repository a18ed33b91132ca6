"""The sizes of experiments: the paper's, and small ones that end within minutes on two cores."""

from __future__ import annotations

from typing import Any

from medarts_ops.experiment import ExperimentKind, Scale

FIGURES: tuple[ExperimentKind, ...] = ("fig5", "fig6")

SMALL_IMAGES = 3_000
"""Training images at small scale, at most (ours): see `small_settings`."""

LEAST_HALVED_SIDE = 16
"""fig6 halves images, and 8×8 is the smallest size that networks take."""


def paper_settings(kind: ExperimentKind) -> dict[str, Any]:
    """What the paper's scale sets over an evaluation's defaults, nested as in YAML.

    For figures 8 cells, 100 epochs and batches of 96 (paper IV.D); for tables nothing: they are trained as evaluations
    are (paper IV.C).
    """
    return {"cells": 8, "epochs": 100, "batch": 96} if kind in FIGURES else {}


def small_settings(kind: ExperimentKind, n_train: int, side: int) -> dict[str, Any]:
    """What the small scale sets over a preset, nested as in YAML, for `n_train` images of `side` pixels. All is ours.

    Networks of 5 cells and 8 channels train 8 epochs on 3,000 images at most, in batches of 64: 24,000 images pass, one
    to one and a half minutes at 32×32 on one thread of a two-core machine, seconds at 8×8. Neither drop path nor an
    auxiliary head: networks so small and so short in training underfit. One thread each, since trainings stand side by
    side. A subset keeps the classes' proportions, so that a rare class does not forbid it. fig6 enlarges images too
    small to be halved to 16×16.
    """
    dataset: dict[str, Any] = {}
    if n_train > SMALL_IMAGES or kind == "fig5":
        dataset["sampling"] = "stratified"
    if kind == "fig6" and side < LEAST_HALVED_SIDE:
        dataset["resolution"] = LEAST_HALVED_SIDE
    return {
        **({"dataset": dataset} if dataset else {}),
        "cells": 5,
        "channels": 8,
        "epochs": 8,
        "images": SMALL_IMAGES if n_train > SMALL_IMAGES else None,
        "batch": 64,
        "drop_path": 0.0,
        "auxiliary": {"weight": 0.0},
        "runtime": {"threads": 1},
    }


def default_seeds(kind: ExperimentKind, scale: Scale) -> tuple[int, ...]:
    """Five seeds for figures (paper IV.D), two at small scale (ours); three for all else (ours)."""
    if kind not in FIGURES:
        return (0, 1, 2)
    return (0, 1) if scale == "small" else (0, 1, 2, 3, 4)


def default_networks(scale: Scale) -> int:
    """How many networks a figure compares: 10 (paper IV.D), 6 at small scale (ours)."""
    return 6 if scale == "small" else 10
