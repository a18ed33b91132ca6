"""What all pictures share: PNG of the stated size, labels apart, nothing global."""

from __future__ import annotations

import io
import subprocess
import sys
from itertools import combinations

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from medarts_ops.pictures.figures import INK, PALETTE, label_points, new_figure, plain_axes, png_bytes


def a_figure() -> Figure:
    figure = new_figure(4.0, 3.0, "title")
    plain_axes(figure.subplots(), "x (m)", "y (s)")
    return figure


def test_a_png_has_the_stated_size_and_a_white_ground():
    with Image.open(io.BytesIO(png_bytes(a_figure()))) as image:
        assert (image.format, image.size) == ("PNG", (600, 450))
        assert image.convert("RGBA").getpixel((2, 2)) == (255, 255, 255, 255)


def test_equal_figures_give_equal_bytes():
    assert png_bytes(a_figure()) == png_bytes(a_figure())
    with Image.open(io.BytesIO(png_bytes(a_figure()))) as image:
        assert "Software" not in image.info


def test_no_picture_touches_pyplot_and_importing_them_loads_nothing_heavy():
    rooms = "cells, fronts, alphas, curves, lineage, parameters, experiments"
    code = f"""
import sys
from medarts_ops.pictures import {rooms}
assert not {{"matplotlib", "plotly", "torch", "mlflow"}} & set(sys.modules), "loaded at import"
from medarts_ops.pictures.figures import png_bytes
from medarts_ops.space.zoo import zoo_genotype
png_bytes(cells.genotype_figure(zoo_genotype("DARTS_V2"), "it"))
assert "matplotlib.pyplot" not in sys.modules, "pyplot"
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_crowded_labels_lie_neither_on_each_other_nor_on_points():
    figure = a_figure()
    (axes,) = figure.axes
    rng = np.random.default_rng(0)
    points = [(float(x), float(y), f"name-{n}", INK) for n, (x, y) in enumerate(rng.normal(size=(14, 2)))]
    axes.scatter([x for x, *_ in points], [y for _, y, *_ in points])
    axes.margins(0.2)
    label_points(axes, points)
    boxes = [text.get_window_extent() for text in axes.texts if text.get_text()]
    assert len(boxes) > 10
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    for box in boxes:
        assert not any(box.contains(*axes.transData.transform((x, y))) for x, y, *_ in points)


def test_a_label_without_any_room_is_left_out():
    figure = a_figure()
    (axes,) = figure.axes
    axes.set(xlim=(0, 1), ylim=(0, 1))
    label_points(axes, [(0.5, 0.5, "x" * 200, INK)])
    assert [text.get_text() for text in axes.texts] == []


def test_every_colour_of_the_palette_stands_out_from_white():
    """WCAG asks for a contrast of 3 to 1 of graphics."""
    for colour in PALETTE:
        channels = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        assert 1.05 / (linear @ (0.2126, 0.7152, 0.0722) + 0.05) >= 3, colour


@pytest.mark.parametrize("title", ["search-0123456789" * 20, "many words " * 40, "short"])
def test_a_title_never_leaves_the_picture(title: str):
    figure = new_figure(4.0, 3.0, title)
    (text,) = figure.texts
    assert text.get_window_extent().width <= figure.bbox.width
    assert text.get_text().count("\n") <= 1
