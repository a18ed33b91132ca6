"""Networks that take images of any size: what PIL makes of them, and what the network says of that."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL
import pytest
import torch
from PIL import Image, ImageOps
from PIL.Image import Resampling
from sklearn.datasets import load_sample_image

from medarts_ops.errors import ExportError
from medarts_ops.export.any_size import resized
from medarts_ops.export.formats import export_network
from medarts_ops.export.loaded import LoadedNetwork, largest_difference_of_resized
from medarts_ops.export.predict import classify, load_network

LANCZOS = Resampling.LANCZOS


def as_pixels(image: Image.Image) -> torch.Tensor:
    pixels = np.asarray(image)
    return torch.from_numpy(pixels.reshape(1, *pixels.shape[:2], -1).transpose(0, 3, 1, 2).astype(np.float32))


def wide(width: int, height: int) -> Image.Image:
    """A part of a photo, sharp: PIL takes the width of one that is wider than high first, whatever its release."""
    return Image.fromarray(load_sample_image("china.jpg")[:height, :width])


@pytest.mark.parametrize("size", [(640, 427), (300, 31), (33, 9), (9, 5), (1, 1), (48, 32)])
def test_a_photo_is_resized_as_pil_does_it_but_for_single_pixels_by_one(size):
    image = wide(*size)
    found, expected = resized(as_pixels(image), 32, 48, "squash"), as_pixels(image.resize((48, 32), LANCZOS))
    assert (found - expected).abs().max() <= 1
    assert (found != expected).float().mean() < 0.001


def test_a_photo_is_cropped_as_pil_does_it():
    image = wide(640, 301)
    found, expected = resized(as_pixels(image), 48, 48, "crop"), as_pixels(ImageOps.fit(image, (48, 48), LANCZOS))
    assert (found - expected).abs().max() <= 1 and (found != expected).float().mean() < 0.001


@pytest.mark.parametrize("size", [(640, 301), (20, 11)])
def test_a_photo_is_padded_as_pil_does_it_with_its_own_mean_colour(size):
    image = wide(*size)
    height = round(48 * size[1] / size[0])
    mean = np.rint(np.asarray(image.resize((48, height), LANCZOS)).mean(axis=(0, 1))).astype(int)
    expected = as_pixels(ImageOps.pad(image, (48, 48), LANCZOS, color=tuple(mean.tolist())))
    found = resized(as_pixels(image), 48, 48, "pad")
    assert (found - expected).abs().max() <= 1 and (found != expected).float().mean() < 0.001


def test_a_high_photo_differs_by_few_levels_even_where_pil_takes_its_height_first():
    image = wide(427, 640).rotate(90, expand=True).crop((0, 0, 300, 427))
    found, expected = resized(as_pixels(image), 64, 64, "squash"), as_pixels(image.resize((64, 64), LANCZOS))
    allowed = 1 if int(PIL.__version__.split(".")[0]) < 13 else 12
    assert (found - expected).abs().max() <= allowed


def of_the_documented_program(path: Path, image: Image.Image, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """What docs/using-a-network.md makes of a grey photo."""
    page = (Path(__file__).parents[2] / "docs" / "using-a-network.md").read_text(encoding="utf-8")
    program = page.partition("```python\n")[2].partition("```")[0]
    assert "photos.onnx" in program and "photo.jpg" in program
    image.save(path.with_name("photo.png"))
    monkeypatch.chdir(path.parent)
    for documented, here in (("photos.onnx", path.name), ("photo.jpg", "photo.png"), ('"RGB"', '"L"')):
        program = program.replace(documented, here)
    program = program.replace(".transpose(2, 0, 1)[np.newaxis]", "[np.newaxis, np.newaxis]")
    held: dict[str, np.ndarray] = {}
    exec(program, held)
    return held["probabilities"]


@pytest.mark.parametrize("name", ["onnx", "pt2"])
def test_a_file_takes_images_of_any_size_and_says_what_the_network_says_of_them_resized(
    name, network, digits, exported, tmp_path, monkeypatch
):
    path = tmp_path / f"any.{name}"
    done = export_network(network, path, name, any_size=True)
    assert done.largest_difference < 1e-5 and done.largest_difference_of_resized < 1e-3
    image = Image.fromarray(digits.test.images[0, ..., 0]).resize((61, 40))
    with torch.no_grad():
        expected = network.module(as_pixels(image.resize((8, 8), LANCZOS))).softmax(dim=1).numpy()
    given = as_pixels(image)
    if name == "onnx":
        found = of_the_documented_program(path, image, monkeypatch)
    else:
        found = torch.export.load(path).module()(given)["probabilities"].numpy()
    assert np.abs(found - expected).max() < 1e-3 and np.ptp(expected) > 0.01
    image.save(tmp_path / "photo.png")  # and `predict`, which resizes itself, says the same by either file
    answers = [
        classify(load_network(file, trusted=True), [tmp_path / "photo.png"], top=1)[0].guesses[0]
        for file in (path, exported[name].path)
    ]
    assert answers[0].class_name == answers[1].class_name
    assert answers[0].probability == pytest.approx(answers[1].probability, abs=1e-5)


def test_a_network_that_resizes_otherwise_is_refused(network):
    never_the_same = LoadedNetwork(network.description, "pt2", lambda images: 10 * np.eye(10, dtype=np.float32)[:2])
    with pytest.raises(ExportError, match="would resize images otherwise than in training: by .* in a probability"):
        largest_difference_of_resized(network, never_the_same, "any.pt2")
