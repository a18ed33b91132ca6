"""The network of an evaluation's folder: the weights that were trained, and the normalisation that they know."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from factories import make_evaluate_config_tiny, make_genotype
from pydantic import ValidationError

from medarts_ops.config import DatasetConfig
from medarts_ops.data.augment import normalise
from medarts_ops.data.dataset import ImageDataset
from medarts_ops.data.proxy import channel_statistics
from medarts_ops.errors import DataError, ExportError, SearchError
from medarts_ops.evaluation import run_evaluation
from medarts_ops.export.network import NetworkDescription, TrainedNetwork, read_trained_network, trained_network
from medarts_ops.journal.evaluation_folder import RESULT, STARTED, WEIGHTS, read_evaluation
from medarts_ops.networks.derived import DerivedNetwork


def changed(evaluated: Path, folder: Path, changes: Mapping[str, Any], within: str | None = None) -> Path:
    """A copy of the evaluation that began with other values; those that are None are left out, as if never written."""
    shutil.copytree(evaluated, folder)
    content = json.loads((folder / STARTED).read_text())
    place = content["started"] if within is None else content["started"][within]
    place.update(changes)
    for name in [name for name, value in changes.items() if value is None]:
        del place[name]
    (folder / STARTED).write_text(json.dumps(content))
    return folder


def raw_images(dataset: ImageDataset) -> torch.Tensor:
    return torch.from_numpy(dataset.test.images).permute(0, 3, 1, 2).float()


def test_it_makes_the_errors_on_the_test_images_that_the_evaluation_counted(evaluated, network, digits):
    guessed = network.module(raw_images(digits)).argmax(dim=1).numpy()
    result = read_evaluation(evaluated)[1]
    assert np.mean(guessed != digits.test.labels) == pytest.approx(result.history[-1].test_error, abs=1e-9)
    assert result.history[-1].test_error < 0.5  # it has learnt something, so the two can differ


def test_it_normalises_the_images_as_training_does(evaluated, network, digits):
    weights = torch.load(evaluated / WEIGHTS, weights_only=True)
    derived = DerivedNetwork(make_genotype(nodes=2), cells=3, channels=4, n_classes=10, in_channels=1, auxiliary=True)
    derived.load_state_dict(weights)
    mean, std = (torch.from_numpy(part).float() for part in channel_statistics(digits.train.images))
    images = normalise(torch.from_numpy(digits.test.images), mean, std, channels_last=False)
    with torch.no_grad():
        expected = derived.eval()(images)[0]
    assert torch.equal(network.module(raw_images(digits)), expected)


def test_it_describes_itself(network, digits):
    description = network.description
    assert description.genotype == make_genotype(nodes=2)
    assert (description.cells, description.channels) == (3, 4)
    assert (description.in_channels, description.resolution) == (1, (8, 8))
    assert description.class_names == tuple("0123456789")
    mean, std = channel_statistics(digits.train.images)
    assert (description.mean, description.std) == (tuple(mean), tuple(std))
    assert NetworkDescription.model_validate_json(description.model_dump_json()) == description


def test_it_has_neither_auxiliary_head_nor_gradients_nor_training_mode(network):
    assert not [name for name, _ in network.module.named_modules() if "auxiliary" in name]
    assert not any(weight.requires_grad for weight in network.module.parameters())
    assert not any(module.training for module in network.module.modules())


def test_the_images_may_be_gone(tmp_path):
    rng = np.random.default_rng(0)
    images = {f"x_{part}": rng.integers(0, 256, (40, 8, 12, 3), np.uint8) for part in ("train", "test")}
    labels = {f"y_{part}": np.arange(40) % 2 for part in ("train", "test")}
    np.savez(tmp_path / "images.npz", **images, **labels)
    dataset = DatasetConfig(name="npz", data=str(tmp_path / "images.npz"), low_resolution=False)
    config = make_evaluate_config_tiny().model_copy(update={"dataset": dataset, "epochs": 1})
    folder = tmp_path / "evaluated"
    folder.mkdir()
    run_evaluation(config, make_genotype(nodes=1), folder=folder)
    (tmp_path / "images.npz").unlink()
    description = read_trained_network(folder).description
    pixels = images["x_train"] / 255
    assert description.mean == pytest.approx(pixels.mean(axis=(0, 1, 2)), abs=1e-12)
    assert description.std == pytest.approx(pixels.std(axis=(0, 1, 2)), abs=1e-12)
    assert (description.resolution, description.in_channels) == ((8, 12), 3)


def test_an_evaluation_that_kept_no_mean_and_std_has_them_from_its_images(evaluated, network, tmp_path):
    older = changed(evaluated, tmp_path / "older", {"mean": None, "std": None})
    assert read_trained_network(older).description == network.description


@pytest.mark.parametrize(
    ("within", "change"),
    [
        (None, {"mean": [0.1, 0.1, 0.1]}),
        (None, {"std": [0.0]}),
        ("dataset", {"in_channels": 2}),
        ("dataset", {"resolution": [8, 2]}),
        ("dataset", {"class_names": ["one"]}),
    ],
)
def test_an_evaluation_of_an_impossible_network_is_one_line(within, change, evaluated, tmp_path):
    edited = changed(evaluated, tmp_path / "edited", change, within)
    with pytest.raises(ExportError, match="evaluation.json' describes no network.*: evaluate again") as caught:
        read_trained_network(edited)
    assert "\n" not in str(caught.value)


def test_an_unfinished_evaluation_has_no_network(evaluated, tmp_path):
    folder = shutil.copytree(evaluated, tmp_path / "unfinished")
    (folder / RESULT).unlink()
    with pytest.raises(SearchError, match="'unfinished' is not finished.*resume it first"):
        read_trained_network(folder)


def test_a_folder_without_evaluation_has_no_network(tmp_path):
    with pytest.raises(SearchError, match="no evaluation began here"):
        read_trained_network(tmp_path)


def test_other_images_give_no_statistics(evaluated, digits, tmp_path):
    older = changed(evaluated, tmp_path / "older", {"mean": None, "std": None})
    others = changed(older, tmp_path / "others", {"fingerprint": "0123456789ab"}, "dataset")
    with pytest.raises(DataError, match=f"fingerprint 0123456789ab and has {digits.fingerprint}"):
        read_trained_network(others)


class Hostile:
    """Unpickled, it makes a file."""

    def __init__(self, made: Path) -> None:
        self.made = made

    def __reduce__(self):
        return Path.touch, (self.made,)


@pytest.mark.parametrize("kind", ["torn", "foreign", "hostile", "missing", "no dict"])
def test_weights_that_cannot_be_read_are_one_line_and_nothing_of_them_runs(kind, evaluated, tmp_path):
    folder = shutil.copytree(evaluated, tmp_path / "broken")
    path, made = folder / WEIGHTS, tmp_path / "made"
    whole = path.read_bytes()
    path.unlink()
    if kind == "torn":
        path.write_bytes(whole[: len(whole) // 2])
    elif kind == "foreign":
        path.write_bytes(b"GIF89a" * 100)
    elif kind == "hostile":
        path.write_bytes(pickle.dumps(Hostile(made)))
    elif kind == "no dict":
        torch.save([torch.zeros(2)], path)
    with pytest.raises(ExportError, match="weights.pt'.*evaluate the genotype again") as caught:
        read_trained_network(folder)
    assert "\n" not in str(caught.value)
    assert not made.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"channels": 3}, r"float32 \[[0-9, ]+\] and must be float32 \["),
        ({"cells": 4}, "is absent and must be"),
        ({"class_names": ("a", "b")}, r"'classifier.bias' is float32 \[10\] and must be float32 \[2\]"),
        ({"genotype": make_genotype("sep_conv_5x5", nodes=2)}, r"5, 5\]"),
    ],
)
def test_weights_of_another_network_are_refused(change, message, network: TrainedNetwork):
    other = network.description.model_copy(update=change)
    with pytest.raises(ExportError, match=message):
        trained_network(other, network.module.network.state_dict(), source="weights.pt")


def test_weights_in_another_precision_are_refused(network):
    halves = {name: tensor.half() for name, tensor in network.module.network.state_dict().items()}
    with pytest.raises(ExportError, match="is float16 .* must be float32"):
        trained_network(network.description, halves, source="weights.pt")


def test_a_giant_description_costs_no_memory(network):
    giant = network.description.model_copy(update={"cells": 30, "channels": 20_000})  # some terabytes
    with pytest.raises(ExportError, match="must be"):
        trained_network(giant, network.module.network.state_dict(), source="weights.pt")


@pytest.mark.parametrize(
    "change",
    [
        {"mean": (0.5, 0.5, 0.5)},
        {"std": (0.0,)},
        {"in_channels": 2},
        {"resolution": (8, 7)},
        {"resolution": (8, 5000)},
        {"class_names": ("one",)},
        {"genotype": make_genotype(nodes=17).model_dump()},
        {"version": 2},
        {"more": 1},
    ],
)
def test_an_impossible_description_is_refused(change, network):
    with pytest.raises(ValidationError):
        NetworkDescription.model_validate({**network.description.model_dump(), **change})


def test_it_knows_how_images_came_to_their_size_and_one_of_before_squashed_them(evaluated, tmp_path):
    folder = changed(evaluated, tmp_path / "cropped", {})
    content = json.loads((folder / STARTED).read_text())
    content["started"]["config"]["dataset"] |= {"fit": "crop", "resolution": 8}
    (folder / STARTED).write_text(json.dumps(content))
    description = read_trained_network(folder).description
    assert description.fit == "crop"
    older = json.loads(description.model_dump_json(exclude={"fit"}))
    assert NetworkDescription.model_validate(older).fit == "squash"
