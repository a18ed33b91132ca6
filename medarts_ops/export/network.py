"""The network that leaves the house: an evaluation's, in eval mode, with the normalisation built in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

import torch
from pydantic import Field, ValidationError, model_validator
from torch import Tensor, nn

from medarts_ops.data.proxy import channel_statistics
from medarts_ops.data.registry import load_dataset
from medarts_ops.data.resolution import SMALLEST_SIDE
from medarts_ops.errors import DataError, ExportError, MedartsError, SearchError
from medarts_ops.journal.evaluation_folder import STARTED, WEIGHTS, read_evaluation
from medarts_ops.networks.derived import DerivedNetwork
from medarts_ops.networks.layout import STEM_MULTIPLIER
from medarts_ops.observers import EvaluationStarted
from medarts_ops.settings import MAX_CELLS, MAX_CHANNELS, MAX_SIDE, Fit, StemKind
from medarts_ops.space.genotype import Genotype
from medarts_ops.space.search_space import MAX_NODES
from medarts_ops.value import Value

AUXILIARY = "auxiliary_head."
"""How the names of the weights begin that help in training only."""

MAX_CLASS_NAME = 1_000
"""Characters of a class's name."""

Given = TypeVar("Given")
Side = Annotated[int, Field(ge=SMALLEST_SIDE, le=MAX_SIDE)]
Mean = Annotated[float, Field(ge=0, le=1)]
Deviation = Annotated[float, Field(gt=0, le=1)]


class NetworkDescription(Value):
    """All that a network is besides its weights; what every exported file says of itself.

    `resolution` is height × width of the images that it was trained on, `fit` how they came to it, `mean` and `std` are
    [channel] of pixels scaled to 0…1, `class_names` stand in the order of the logits.
    """

    format: Literal["medarts-network"] = "medarts-network"
    version: Literal[1] = 1
    genotype: Genotype
    cells: int = Field(ge=3, le=MAX_CELLS)
    channels: int = Field(ge=1, le=MAX_CHANNELS)
    in_channels: Literal[1, 3]
    stem: StemKind = "cifar"
    resolution: tuple[Side, Side]
    fit: Fit = "squash"
    class_names: Annotated[tuple[str, ...], Field(min_length=2)]
    mean: tuple[Mean, ...]
    std: tuple[Deviation, ...]

    @model_validator(mode="after")
    def _sizes_agree(self) -> Self:
        if not len(self.mean) == len(self.std) == self.in_channels:
            raise ValueError(
                f"mean has {len(self.mean)} numbers and std {len(self.std)}: allowed is one for each of "
                f"{self.in_channels} channels"
            )
        longest = max(map(len, self.class_names))
        if longest > MAX_CLASS_NAME:
            raise ValueError(f"a class has a name of {longest:,} characters: allowed are {MAX_CLASS_NAME:,}")
        nodes = max(self.genotype.n_nodes("normal"), self.genotype.n_nodes("reduce"))
        if nodes > MAX_NODES:
            raise ValueError(f"a cell has {nodes} nodes: allowed are {MAX_NODES}")
        return self

    @property
    def values_an_image(self) -> int:
        """Numbers in the largest feature map that goes from cell to cell, of one image."""
        height, width = self.resolution
        outputs = len(self.genotype.normal_concat), len(self.genotype.reduce_concat)
        if self.stem == "imagenet":  # the first convolution's half of the channels at half the side, or a cell's
            return height * width * self.channels * max(8, *outputs) // 64
        return height * width * self.channels * max(STEM_MULTIPLIER, *outputs)


class ClassifyingNetwork(nn.Module):
    """A derived network that takes images as they are and normalises them itself, so that nobody can forget it."""

    def __init__(self, network: DerivedNetwork, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.network = network
        # Constants of the graph beside the weights, in float32 as training has them.
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Logits [image, class] of `images [image, channel, height, width]`, float32 in 0…255."""
        # In the order of data/augment.py's `normalise`, so equal to it bit for bit.
        logits: Tensor = self.network((images / 255 - self.get_buffer("mean")) / self.get_buffer("std"))[0]
        return logits


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """A description and the module that it describes: on the CPU, float32, in eval mode, asking for no gradient."""

    description: NetworkDescription
    module: ClassifyingNetwork


def read_trained_network(folder: Path) -> TrainedNetwork:
    """The network that a finished evaluation trained, without auxiliary head and drop path.

    All that it takes is in the folder. Only where the evaluation began before mean and std were kept are they computed
    again from the training images, once these are known to be the evaluation's own.

    `folder` is what `run_evaluation` was given.

    Raises:
        SearchError: there is no evaluation in the folder, or it is not finished.
        DataError: the images are needed and can't be read, or are not those of the evaluation.
        ExportError: the weights can't be read, or are another network's; or the folder describes an impossible network.
    """
    started, result = read_evaluation(folder)
    if result is None:
        raise SearchError(f"evaluation {folder.name!r} is not finished, so it has no weights yet: resume it first")
    if started.mean is None or started.std is None:
        started = _with_statistics(started, folder.name)
    found = {
        **started.model_dump(include={"genotype", "mean", "std"}),
        **started.config.model_dump(include={"cells", "channels", "stem"}),
        "fit": started.config.dataset.fit,
        **started.dataset.model_dump(include={"in_channels", "resolution", "class_names"}),
    }
    description = described(NetworkDescription.model_validate, found, str(folder / STARTED), "evaluate again")
    path = folder / WEIGHTS
    return trained_network(description, _read_weights(path), source=str(path))


def described(
    validate: Callable[[Given], NetworkDescription], given: Given, source: str, remedy: str
) -> NetworkDescription:
    """The description that `source` gives; one of an impossible network is an ExportError that names the `remedy`."""
    try:
        return validate(given)
    except (ValidationError, MedartsError) as error:
        reason = " ".join(str(error).split())[:160]
        raise ExportError(
            f"{source!r} describes no network that this release can build ({reason}): {remedy}"
        ) from error


def _with_statistics(started: EvaluationStarted, name: str) -> EvaluationStarted:
    config = started.config
    dataset = load_dataset(config.dataset)
    if dataset.fingerprint != started.dataset.fingerprint:
        raise DataError(
            f"evaluation {name!r} was trained on other images: dataset {config.dataset.name!r} had fingerprint "
            f"{started.dataset.fingerprint} and has {dataset.fingerprint}, so its mean and std are lost; restore them"
        )
    mean, std = (tuple(part.tolist()) for part in channel_statistics(dataset.train.images))
    return started.model_copy(update={"mean": mean, "std": std})


def trained_network(description: NetworkDescription, weights: Mapping[str, Tensor], *, source: str) -> TrainedNetwork:
    """The described network with these weights.

    Costs the memory of the weights alone, whatever the description promises: names and shapes are compared before
    anything is allocated. Of the weights, a `DerivedNetwork`'s state dict from `source`, those of an auxiliary head are
    left out.

    Raises:
        ExportError: a weight is missing, unknown, or of another shape or type than the network's.
    """
    cells = len({name.split(".")[1] for name in weights if name.startswith("cells.")})
    if cells < description.cells:  # said before any is built: a thousand take their time
        raise ExportError(
            f"{source!r} holds other weights than its genotype asks for: cell {cells} is absent and must be one of "
            f"{description.cells}; export the evaluation again"
        )
    sizes = description.model_dump(include={"cells", "channels", "in_channels", "stem"})
    with torch.device("meta"):
        network = DerivedNetwork(description.genotype, n_classes=len(description.class_names), auxiliary=False, **sizes)
    given = {name: tensor for name, tensor in weights.items() if not name.startswith(AUXILIARY)}
    _check_weights(network.state_dict(), given, source)
    network.load_state_dict({name: tensor.contiguous() for name, tensor in given.items()}, assign=True)
    module = ClassifyingNetwork(network, description.mean, description.std).eval().requires_grad_(False)
    return TrainedNetwork(description, module)


def _check_weights(expected: Mapping[str, Tensor], given: Mapping[str, Tensor], source: str) -> None:
    for name in sorted(expected.keys() | given.keys()):
        wanted, got = (_kind(tensors.get(name)) for tensors in (expected, given))
        if wanted != got:
            raise ExportError(
                f"{source!r} holds other weights than its genotype asks for: {name[:100]!r} is {got} and must be "
                f"{wanted}; export the evaluation again"
            )


def _kind(tensor: Tensor | None) -> str:
    return "absent" if tensor is None else f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"


def _read_weights(path: Path) -> dict[str, Tensor]:
    try:
        # Tensors, numbers and text alone: nothing in the file is run.
        held = torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # torch lets through whatever a foreign pickle makes it stumble over
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise ExportError(f"{str(path)!r} can't be read ({reason}): evaluate the genotype again") from error
    if not isinstance(held, dict) or not all(isinstance(value, Tensor) for value in held.values()):
        raise ExportError(f"{str(path)!r} is no state dict of a network: evaluate the genotype again")
    return held
