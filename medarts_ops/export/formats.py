"""A trained network as a file: torch's pt2, ONNX or safetensors; each is read back and compared before it counts."""

from __future__ import annotations

import importlib
import io
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import torch

from medarts_ops.errors import ExportError, MedartsError, os_errors_as, unknown_name
from medarts_ops.export.any_size import LOGITS, PROBABILITIES, AnsweringNetwork
from medarts_ops.export.loaded import (
    MAX_METADATA,
    LoadedNetwork,
    Logits,
    Pixels,
    example_images,
    largest_difference,
    largest_difference_of_resized,
    read_description,
)
from medarts_ops.export.names import FORMATS, METADATA, PT2_DESCRIPTION, Format
from medarts_ops.export.network import NetworkDescription, TrainedNetwork, trained_network
from medarts_ops.whole_file import whole_file

INPUT = "images"
MAX_BYTES = 2 * 1024**3
"""Of a file: protobuf, and with it ONNX in one file, ends there."""

_NEEDS = {"pt2": (), "onnx": ("onnx", "onnxscript", "onnxruntime"), "safetensors": ("safetensors",)}


@dataclass(frozen=True)
class Exported:
    """A file that was written, and its largest absolute difference of a logit from the network's, read back.

    One that takes images of any size has that of a probability, too, from those of images that PIL resized.
    """

    path: Path
    format: Format
    largest_difference: float
    bytes: int
    largest_difference_of_resized: float | None = None


def export_network(network: TrainedNetwork, path: Path, format: Format, *, any_size: bool = False) -> Exported:
    """Write a trained network as a file that holds its description, too, and normalises the images itself.

    `pt2` is a torch.export archive that gives logits, `onnx` an ONNX model (input `images`, outputs `logits` and
    `probabilities`, no other file beside it), both for any number of images; `safetensors` holds the weights, which the
    description's genotype gives a network to. With `any_size` images may be of any height and width, and are resized
    inside (`any_size.py`); a `pt2` then gives a dict of `logits` and `probabilities`. The file is read back and
    compared with the network on made-up images at batch 1, 2 and 7 before it gets its name, so that `path`, which ends
    with the format's name, is whole, right, or as it was.

    Raises:
        ExportError: an unknown format, another ending, a package that is not installed, weights alone that are to take
            any size, a folder that can't be written, or a file that differs from the network by more than `TOLERANCE`.
    """
    if format not in FORMATS:
        raise ExportError(unknown_name("format", format, FORMATS))
    if path.suffix != f".{format}":
        raise ExportError(f"{str(path)!r} is to be of format {format!r}: its name must end with .{format}")
    if any_size and format == "safetensors":
        raise ExportError("a .safetensors file holds weights alone, so nothing in it resizes: take .onnx or .pt2")
    require(format)
    content = _CONTENTS[format](network, any_size)
    wrong, remedy = f"{str(path)!r} can't be written", "free some space or name another folder"
    with os_errors_as(ExportError, wrong, remedy), whole_file(path) as file:
        file.write(content)
        file.flush()
        read = read_network(Path(file.name), format)
        difference = largest_difference(network, read, str(path))
        of_resized = largest_difference_of_resized(network, read, str(path)) if any_size else None
    return Exported(path, format, difference, len(content), of_resized)


def format_of(path: Path) -> Format:
    """The format that a file's ending names; one that names none is an ExportError."""
    for format in FORMATS:
        if path.suffix == f".{format}":
            return format
    raise ExportError(f"{str(path)!r} names no format: allowed endings are .pt2, .onnx and .safetensors")


def require(format: Format) -> None:
    """See that the packages that a format needs are there; one that is not is an ExportError."""
    for package in _NEEDS[format]:
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise ExportError(
                f"format {format!r} needs the package {package!r}, which can't be imported ({error}): install it with "
                "pip install 'medarts-ops[export]', or take format pt2"
            ) from error


def read_network(path: Path, format: Format) -> LoadedNetwork:
    """Read an exported file back, whatever its name. A `pt2` runs what it says: see `medarts_ops.export.predict`.

    Raises:
        ExportError: no such file, too large, no exported network, or one that contradicts its own description.
    """
    require(format)
    with os_errors_as(ExportError, f"{str(path)!r} can't be read", "name an exported file"):
        size = path.stat().st_size
    if not path.is_file() or size > MAX_BYTES:
        raise ExportError(f"{str(path)!r} is no file of at most {MAX_BYTES:,} bytes: name an exported file")
    try:
        return _READERS[format](path)
    except (MedartsError, MemoryError):
        raise
    except Exception as error:  # each library answers a broken file with errors of its own
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise ExportError(
            f"{str(path)!r} is no {format} file that this release can use ({reason}): export the evaluation again"
        ) from error


def _program(network: TrainedNetwork, module: torch.nn.Module, *, any_size: bool) -> torch.export.ExportedProgram:
    free = {0: "batch", 2: "height", 3: "width"} if any_size else {0: "batch"}
    shapes = {INPUT: {axis: torch.export.Dim(name, min=1) for axis, name in free.items()}}
    return torch.export.export(module, (example_images(network.description),), dynamic_shapes=shapes)


def _pt2_content(network: TrainedNetwork, any_size: bool) -> bytes:
    buffer = io.BytesIO()
    module = _answering(network, any_size) if any_size else network.module
    program = _program(network, module, any_size=any_size)
    torch.export.save(program, buffer, extra_files={PT2_DESCRIPTION: network.description.model_dump_json()})
    return buffer.getvalue()


def _onnx_content(network: TrainedNetwork, any_size: bool) -> bytes:
    program = torch.onnx.export(
        _program(network, _answering(network, any_size), any_size=any_size),
        dynamo=True,
        external_data=False,
        input_names=[INPUT],
        output_names=[LOGITS, PROBABILITIES],
        verbose=False,
    )
    assert program is not None
    program.model.metadata_props[METADATA] = network.description.model_dump_json()
    content: bytes = program.model_proto.SerializeToString()
    return content


def _answering(network: TrainedNetwork, any_size: bool) -> torch.nn.Module:
    return AnsweringNetwork(network.module, network.description, any_size=any_size).eval()


def _safetensors_content(network: TrainedNetwork, any_size: bool) -> bytes:
    assert not any_size
    from safetensors.torch import save

    content: bytes = save(
        {name: tensor.contiguous() for name, tensor in network.module.network.state_dict().items()},
        metadata={METADATA: network.description.model_dump_json()},
    )
    return content


def _read_pt2(path: Path) -> LoadedNetwork:
    with zipfile.ZipFile(path) as archive:
        held = [info for info in archive.infolist() if info.filename.endswith(f"/extra/{PT2_DESCRIPTION}")]
        if len(held) != 1 or held[0].file_size > MAX_METADATA:
            raise ExportError(f"{str(path)!r} is a pt2 file without a description of ours: export the evaluation")
        description = read_description(archive.read(held[0]), str(path))
    return LoadedNetwork(description, "pt2", _logits(torch.export.load(io.BytesIO(path.read_bytes())).module()))


def _read_onnx(path: Path) -> LoadedNetwork:
    import onnx
    import onnxruntime
    from onnx.external_data_helper import uses_external_data

    content = path.read_bytes()
    model = onnx.load_model_from_string(content)
    tensors = chain(_tensors(model.graph), *(_tensors_of(function.node) for function in model.functions))
    if any(map(uses_external_data, tensors)):
        raise ExportError(f"{str(path)!r} takes weights from other files, which no export of ours does: export again")
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    description = read_description(session.get_modelmeta().custom_metadata_map.get(METADATA), str(path))
    _check_shapes(
        {part.name: part.shape[1:] for part in (*session.get_inputs(), *session.get_outputs())}, description, path
    )
    return LoadedNetwork(description, "onnx", lambda images: session.run([LOGITS], {INPUT: images})[0])


def _check_shapes(shapes: Mapping[str, Sequence[int | str]], description: NetworkDescription, path: Path) -> None:
    """Of each image: of inputs and outputs by their names; a side that has a name for a length may be of any."""
    classes, sides = [len(description.class_names)], list(shapes.get(INPUT, ()))[1:]
    if not all(isinstance(side, str) for side in sides):
        sides = [*description.resolution]
    expected = {INPUT: [description.in_channels, *sides], LOGITS: classes, PROBABILITIES: classes}
    of_earlier_releases = {name: shape for name, shape in expected.items() if name != PROBABILITIES}
    if {name: list(shape) for name, shape in shapes.items()} not in (expected, of_earlier_releases):
        raise ExportError(f"{str(path)!r} contradicts its description: it has {dict(shapes)}, described are {expected}")


def _tensors(graph: Any) -> Iterator[Any]:
    """All constants of an ONNX graph and of the graphs in its nodes; any may say that its numbers are elsewhere."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _tensors_of(graph.node)


def _tensors_of(nodes: Iterable[Any]) -> Iterator[Any]:
    for attribute in (attribute for node in nodes for attribute in node.attribute):
        yield from (attribute.t, *attribute.tensors)
        for inner in (attribute.g, *attribute.graphs):
            yield from _tensors(inner)


def _read_safetensors(path: Path) -> LoadedNetwork:
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        description = read_description((file.metadata() or {}).get(METADATA), str(path))
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dict
    module = trained_network(description, weights, source=str(path)).module
    return LoadedNetwork(description, "safetensors", _logits(module))


def _logits(module: torch.nn.Module) -> Callable[[Pixels], Logits]:
    @torch.no_grad()
    def logits(images: Pixels) -> Logits:
        answer = module(torch.from_numpy(images))
        found: Logits = (answer[LOGITS] if isinstance(answer, dict) else answer).numpy()
        return found

    return logits


_CONTENTS: dict[Format, Callable[[TrainedNetwork, bool], bytes]]
_CONTENTS = {"pt2": _pt2_content, "onnx": _onnx_content, "safetensors": _safetensors_content}
_READERS: dict[Format, Callable[[Path], LoadedNetwork]]
_READERS = {"pt2": _read_pt2, "onnx": _read_onnx, "safetensors": _read_safetensors}
