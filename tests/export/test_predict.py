"""Image files and an exported network: the classes that the network itself would name."""

from __future__ import annotations

import itertools
import math
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from factories import make_genotype
from PIL import Image

from medarts_ops.data.image_stream import read_image
from medarts_ops.data.resolution import lanczos
from medarts_ops.errors import ConfigError, DataError, ExportError
from medarts_ops.export.formats import export_network
from medarts_ops.export.loaded import LoadedNetwork
from medarts_ops.export.names import FORMATS, METADATA
from medarts_ops.export.network import NetworkDescription, TrainedNetwork, trained_network
from medarts_ops.export.predict import classify, classify_each, load_network
from medarts_ops.networks.derived import DerivedNetwork


@pytest.fixture(scope="module")
def image_files(digits, tmp_path_factory) -> list[Path]:
    """Forty test images as grey PNG files."""
    folder = tmp_path_factory.mktemp("images")
    return [save(image[..., 0], folder / f"{number}.png") for number, image in enumerate(digits.test.images[:40])]


@pytest.fixture
def loaded(exported) -> LoadedNetwork:
    return load_network(exported["safetensors"].path)


def save(pixels: np.ndarray, path: Path) -> Path:
    Image.fromarray(pixels).save(path)
    return path


def seen_of(paths: list[Path], description: NetworkDescription) -> np.ndarray:
    """What a network of that description is shown of the files: [image, channel, height, width]."""
    seen = []

    def logits(pixels: np.ndarray) -> np.ndarray:
        seen.append(pixels)
        return np.zeros((len(pixels), len(description.class_names)), np.float32)

    classify(LoadedNetwork(description, "onnx", logits), paths)
    return np.concatenate(seen)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def make_network(resolution: tuple[int, int], in_channels: int) -> TrainedNetwork:
    """Untrained, for images of that kind."""
    genotype = make_genotype(nodes=1)
    description = NetworkDescription(
        genotype=genotype,
        cells=3,
        channels=2,
        in_channels=in_channels,
        resolution=resolution,
        class_names=("cat", "dog", "cow"),
        mean=(0.4,) * in_channels,
        std=(0.2,) * in_channels,
    )
    torch.manual_seed(0)
    derived = DerivedNetwork(genotype, cells=3, channels=2, n_classes=3, in_channels=in_channels, auxiliary=False)
    return trained_network(description, derived.state_dict(), source="made up")


def probabilities(network: TrainedNetwork, images: np.ndarray) -> np.ndarray:
    """[image, class], of uint8 images [image, height, width, channel]."""
    logits = network.module(torch.from_numpy(images).permute(0, 3, 1, 2).float())
    return logits.double().softmax(dim=1).numpy()


@pytest.mark.parametrize("name", FORMATS)
def test_real_test_images_get_the_classes_and_probabilities_of_the_network(
    name, exported, network, digits, image_files
):
    found = classify(load_network(exported[name].path, trusted=True), image_files, top=3, batch=16)
    expected = probabilities(network, digits.test.images[:40])
    best = np.argsort(-expected, axis=1)[:, :3]
    assert [answer.path for answer in found] == image_files
    assert [[guess.class_name for guess in answer.guesses] for answer in found] == [
        [str(place) for place in row] for row in best
    ]
    given = [[guess.probability for guess in answer.guesses] for answer in found]
    assert np.allclose(given, np.take_along_axis(expected, best, axis=1), atol=1e-5)
    assert len({row[0] for row in best}) > 1  # not always the same class


def test_top_is_no_more_than_there_are_classes_and_then_sums_to_one(loaded, image_files):
    (answer,) = classify(loaded, image_files[:1], top=99)
    assert len(answer.guesses) == 10
    assert sum(guess.probability for guess in answer.guesses) == pytest.approx(1)


def test_no_image_is_no_answer(loaded):
    assert classify(loaded, []) == []


def test_the_batch_does_not_change_the_answer(loaded, image_files):
    alone, together = (classify(loaded, image_files[:9], batch=batch) for batch in (1, 64))
    for one, other in zip(alone, together, strict=True):
        assert [guess.class_name for guess in one.guesses] == [guess.class_name for guess in other.guesses]
        given = [guess.probability for guess in one.guesses]
        assert given == pytest.approx([guess.probability for guess in other.guesses], abs=1e-6)


def test_a_grey_network_sees_a_grey_image_in_colour_as_the_same(loaded, digits, image_files, tmp_path):
    colour = save(np.repeat(digits.test.images[0], 3, axis=2), tmp_path / "colour.png")
    assert np.array_equal(seen_of([image_files[0]], loaded.description), seen_of([colour], loaded.description))


def test_a_colour_image_is_made_grey_by_its_luminance(loaded, tmp_path):
    green = np.zeros((8, 8, 3), np.uint8)
    green[..., 1] = 200
    pixels = seen_of([save(green, tmp_path / "green.png")], loaded.description)
    assert pixels.shape == (1, 1, 8, 8) and np.all(pixels == round(0.587 * 200))


def test_a_grey_image_is_the_same_beside_a_colour_image(loaded, tmp_path):
    grey, colour = save(noise(13, 21), tmp_path / "grey.png"), save(noise(9, 30, 3), tmp_path / "colour.png")
    together = seen_of([grey, colour], loaded.description)
    assert np.array_equal(together[:1], seen_of([grey], loaded.description))
    assert np.array_equal(together[1:], seen_of([colour], loaded.description))


def test_a_colour_network_sees_a_grey_image_in_three_equal_channels(tmp_path):
    network = make_network((16, 16), 3)
    pixels = seen_of([save(noise(16, 16), tmp_path / "grey.png")], network.description)
    assert np.array_equal(pixels, np.broadcast_to(noise(16, 16), (1, 3, 16, 16)))


@pytest.mark.parametrize("size", [(13, 21), (1, 1), (200, 3), (8, 8)])
def test_images_of_any_size_are_resized_as_training_images_are(size, loaded, network, tmp_path):
    image = noise(*size)
    (answer,) = classify(loaded, [save(image, tmp_path / "odd.png")], top=10)
    expected = probabilities(network, lanczos(image[np.newaxis, ..., np.newaxis], 8, 8))[0]
    assert [guess.probability for guess in answer.guesses] == pytest.approx(sorted(expected, reverse=True), abs=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_network_of_oblong_images_is_served_too(channels, tmp_path):
    pytest.importorskip("safetensors")
    network = make_network((8, 12), channels)
    export_network(network, tmp_path / "network.safetensors", "safetensors")
    images = noise(2, 8, 12, channels)
    small, large = noise(20, 10, channels), noise(300, 65, channels)
    files = [save(image.squeeze(), tmp_path / f"{number}.png") for number, image in enumerate((*images, small, large))]
    found = classify(load_network(tmp_path / "network.safetensors"), files, top=1)
    resized = [lanczos(image[np.newaxis], 8, 12) for image in (small, large)]
    expected = probabilities(network, np.concatenate([images, *resized]))
    assert [answer.guesses[0].probability for answer in found] == pytest.approx(expected.max(axis=1), abs=1e-5)


@pytest.mark.parametrize("fit", ["crop", "pad"])
def test_photos_are_fitted_as_training_images_were(fit, loaded, tmp_path):
    photo = np.random.default_rng(0).integers(256, size=(20, 30, 1), dtype=np.uint8)
    Image.fromarray(photo[..., 0]).save(tmp_path / "photo.png")
    description = loaded.description.model_copy(update={"fit": fit})
    height, width = description.resolution
    expected = lanczos(photo[np.newaxis], height, width, fit)
    assert np.array_equal(seen_of([tmp_path / "photo.png"], description)[:, 0], expected[..., 0])


def test_a_broken_image_is_one_line_that_names_it(loaded, image_files, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(image_files[0].read_bytes()[:50])
    with pytest.raises(DataError, match="1 of 2 images can't be read, the first is '.*broken.png'") as caught:
        classify(loaded, [image_files[0], broken])
    assert "\n" not in str(caught.value)


def test_any_number_of_files_is_read_no_further_ahead_than_two_batches(loaded, image_files):
    asked = []
    endless = (asked.append(path) or path for path in itertools.cycle(image_files))
    answers = classify_each(loaded, endless, batch=8)
    assert [next(answers).path for _ in range(20)] == image_files[:20]
    assert len(asked) <= 24 + 2 * 8
    answers.close()


def test_files_that_can_t_be_read_are_answers_too_and_change_no_other(loaded, image_files, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(image_files[0].read_bytes()[:50])
    gone = tmp_path / "gone.png"
    found = list(classify_each(loaded, [broken, image_files[0], gone, image_files[1]], batch=2))
    assert [answer.error for answer in found] == [found[0].error, "", "No such file or directory", ""]
    assert found[0].error and not found[0].guesses
    for answer, alone in zip(found[1::2], classify(loaded, image_files[:2]), strict=True):
        assert [guess.class_name for guess in answer.guesses] == [guess.class_name for guess in alone.guesses]


def test_the_bytes_of_an_image_are_as_good_as_its_file(image_files):
    held = read_image(BytesIO(image_files[0].read_bytes()), (16, 16), 3, "squash")
    assert np.array_equal(held, read_image(image_files[0], (16, 16), 3, "squash")) and held.shape == (16, 16, 3)


@pytest.mark.parametrize("wrong", [{"top": 0}, {"batch": 0}])
def test_less_than_one_is_refused(wrong, loaded, image_files):
    with pytest.raises(ConfigError, match="is 0: allowed is 1 or more"):
        classify(loaded, image_files, **wrong)


def test_a_pt2_file_is_loaded_only_where_it_is_trusted(exported, monkeypatch):
    def load(*_args, **_kwargs):
        raise AssertionError("an untrusted file was opened")

    monkeypatch.setattr(torch.export, "load", load)
    with pytest.raises(ExportError, match="can run anything when it is loaded"):
        load_network(exported["pt2"].path)


def foreign(path: Path, network: TrainedNetwork, weights: dict[str, torch.Tensor] | None = None, **change) -> Path:
    """A safetensors file that says something else of itself than `network` does, or holds other weights."""
    from safetensors.torch import save_file

    description = network.description.model_copy(update=change)
    weights = network.module.network.state_dict() if weights is None else weights
    save_file(weights, path, metadata={METADATA: description.model_dump_json()})
    return path


@pytest.mark.parametrize(
    ("resolution", "wrong"), [((4096, 4096), "for an image: allowed"), ((1500, 1500), "in 30 cells")]
)
def test_a_file_that_asks_for_endless_memory_or_time_is_refused_unless_it_is_trusted(resolution, wrong, tmp_path):
    genotype = make_genotype(nodes=1)
    derived = DerivedNetwork(genotype, cells=30, channels=2, n_classes=3, in_channels=1, auxiliary=False)
    description = make_network((8, 8), 1).description.model_copy(update={"cells": 30})
    small = trained_network(description, derived.state_dict(), source="made up")
    path = foreign(tmp_path / "small.safetensors", small, resolution=resolution)
    with pytest.raises(ExportError, match=rf"takes images of {resolution[0]}×.*{wrong}"):
        load_network(path)
    assert load_network(path, trusted=True).description.resolution == resolution


def test_large_images_are_looked_at_a_few_at_a_time(tmp_path):
    loaded = LoadedNetwork(
        make_network((1024, 1024), 3).description,
        "onnx",
        lambda images: seen.append(len(images)) or np.eye(3, dtype=np.float32)[: len(images)],
    )
    seen: list[int] = []
    classify(loaded, [save(noise(9, 9), tmp_path / f"{number}.png") for number in range(3)])
    assert seen == [2, 1]


def test_cells_that_a_file_only_promises_are_never_built(network, tmp_path, monkeypatch):
    path = foreign(tmp_path / "a.safetensors", network, cells=1000)
    monkeypatch.setattr("medarts_ops.export.network.DerivedNetwork", None)
    with pytest.raises(ExportError, match="cell 3 is absent and must be one of 1000"):
        load_network(path)


def test_a_class_name_of_a_megabyte_is_refused(network, tmp_path):
    path = foreign(tmp_path / "a.safetensors", network, class_names=("x" * 500_000, "y"))
    with pytest.raises(ExportError, match="a class has a name of 500,000 characters: allowed are 1,000"):
        load_network(path)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_an_answer_that_is_not_finite_is_an_error(value, network, tmp_path, image_files):
    trained = network.module.network.state_dict()
    weights = {name: torch.full_like(of, value) if of.is_floating_point() else of for name, of in trained.items()}
    loaded = load_network(foreign(tmp_path / "a.safetensors", network, weights))
    with pytest.raises(ExportError, match="the network's answer to '.*0.png' is not finite"):
        classify(loaded, image_files[:1])


def refusing(images):
    raise RuntimeError("Got invalid dimensions\nfor input")


@pytest.mark.parametrize(
    ("logits", "message"),
    [
        (refusing, "the network can't be run .RuntimeError: Got invalid dimensions for input"),
        (lambda images: np.zeros((1, 10), np.float32), r"answers with float32 \[1, 10\]: allowed is .* \[2, 10\]"),
        (lambda images: np.zeros((2, 10), np.int64), r"answers with int64 \[2, 10\]"),
        (lambda images: np.full((2, 10), "a"), "answers with <U1"),
        (lambda images: None, "answers with object"),
    ],
)
def test_a_network_that_answers_otherwise_than_it_says_is_an_error(logits, message, network, image_files):
    with pytest.raises(ExportError, match=message) as caught:
        classify(LoadedNetwork(network.description, "onnx", logits), image_files[:2])
    assert "\n" not in str(caught.value)


def test_an_ending_of_no_format_is_refused(tmp_path):
    with pytest.raises(ExportError, match="allowed endings are .pt2, .onnx and .safetensors"):
        load_network(tmp_path / "network.pth")
