"""`medarts bench data` races two ways to the same kind of batch."""

from __future__ import annotations

import json

import pytest
import torch
from click.testing import CliRunner

from medarts_ops.bench.input_pipeline import PilImages, measure_input, product_pass
from medarts_ops.cli.main import medarts
from medarts_ops.config_runtime import ResolvedRuntime
from medarts_ops.data.dataset import ImageShape
from medarts_ops.data.proxy import channel_statistics
from medarts_ops.training.made_up import made_up_images
from medarts_ops.training.placed_images import PlacedImages
from medarts_ops.training.runtime import Runtime

RUNTIME = ResolvedRuntime(device="cpu", amp="off", threads=1, channels_last=True)


def test_both_ways_give_the_same_pixels_where_nothing_is_random():
    images = made_up_images(10, ImageShape.square(8))
    constant = images.images[:, :1, :1].repeat(8, axis=1).repeat(8, axis=2)  # a crop shows in the border alone
    statistics = channel_statistics(images.images)
    placed = PlacedImages.place(constant, images.labels, *statistics, Runtime.from_config(RUNTIME))
    middle = placed.plain(torch.arange(10)).images[:, :, 1:-1, 1:-1]
    loaded = PilImages(type(images)(constant, images.labels), statistics)
    for index in range(10):
        image, label = loaded[index]
        torch.testing.assert_close(image[:, 1:-1, 1:-1], middle[index], rtol=1e-6, atol=1e-6)
        assert label == images.labels[index]


def test_a_pass_makes_every_image_once(monkeypatch):
    seen: list[int] = []
    original = PlacedImages.augmented
    monkeypatch.setattr(
        PlacedImages,
        "augmented",
        lambda self, indices, *rest: seen.extend(indices.tolist()) or original(self, indices, *rest),
    )
    images = made_up_images(30, ImageShape.square(8))
    product_pass(images, channel_statistics(images.images), 8, Runtime.from_config(RUNTIME))()
    assert sorted(seen) == list(range(30))


def test_a_loader_without_workers_can_be_raced():
    timing = measure_input(RUNTIME, 8, 16, 1, images=64, workers=0)
    assert timing.ratio == pytest.approx(timing.images_per_second / timing.loader_images_per_second)
    assert timing.ratio > 0 and timing.workers == 0


def test_the_command_gives_a_value_for_each_resolution(monkeypatch):
    monkeypatch.setattr("medarts_ops.bench.input_pipeline.available_cores", lambda: 1)
    words = ["bench", "data", "--resolution", "9", "--resolution", "8", "--repeats", "1", "--device", "cpu", "--json"]
    result = CliRunner().invoke(medarts, words)
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)["data"]
    assert [value["resolution"] for value in found] == [9, 8]
    assert all(value["workers"] == 1 and value["ratio"] > 0 for value in found)


def test_what_is_no_device_is_refused_by_name():
    result = CliRunner().invoke(medarts, ["bench", "data", "--device", "gpu"])
    assert result.exit_code != 0 and "runtime.device" in result.stderr
