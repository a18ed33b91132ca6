"""A tiny evaluation of the digits, trained once, its network, and that network's file in each format."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories import make_evaluate_config_tiny, make_genotype

from medarts_ops.config import AuxiliaryConfig
from medarts_ops.data.dataset import ImageDataset
from medarts_ops.data.registry import load_dataset
from medarts_ops.evaluation import run_evaluation
from medarts_ops.export.formats import Exported, export_network
from medarts_ops.export.names import FORMATS
from medarts_ops.export.network import TrainedNetwork, read_trained_network


@pytest.fixture(scope="session")
def digits() -> ImageDataset:
    return load_dataset(make_evaluate_config_tiny().dataset)


@pytest.fixture(scope="session")
def evaluated(tmp_path_factory: pytest.TempPathFactory, digits: ImageDataset) -> Path:
    """The folder of an evaluation that had an auxiliary head, drop path and cutout, and steps enough to learn."""
    folder = tmp_path_factory.mktemp("evaluated")
    changes = {"auxiliary": AuxiliaryConfig(weight=0.4), "batch": 16, "channels": 4}
    config = make_evaluate_config_tiny().model_copy(update=changes)
    run_evaluation(config, make_genotype(nodes=2), dataset=digits, folder=folder)
    return folder


@pytest.fixture(scope="session")
def network(evaluated: Path) -> TrainedNetwork:
    return read_trained_network(evaluated)


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory, network: TrainedNetwork) -> dict[str, Exported]:
    """The network's file in each format."""
    for package in ("onnx", "onnxscript", "onnxruntime", "safetensors"):
        pytest.importorskip(package)
    folder = tmp_path_factory.mktemp("exported")
    return {name: export_network(network, folder / f"digits.{name}", name) for name in FORMATS}
