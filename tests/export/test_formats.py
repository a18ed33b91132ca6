"""Files of a network: equal to it, whole or not there, and telling what they are."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from medarts_ops.errors import ExportError
from medarts_ops.export import formats
from medarts_ops.export.formats import Exported, export_network, read_network
from medarts_ops.export.names import FORMATS
from medarts_ops.export.network import NetworkDescription

each_format = pytest.mark.parametrize("name", FORMATS)
LIMIT = 1e-5


def write_plain(name: str, path: Path) -> None:
    """A good file of the format that says nothing of a network of ours."""
    if name == "pt2":
        torch.export.save(torch.export.export(torch.nn.ReLU(), (torch.zeros(2),)), path)
    elif name == "safetensors":
        from safetensors.torch import save_file

        save_file({"weight": torch.zeros(2)}, path)
    else:
        program = torch.onnx.export(torch.nn.ReLU().eval(), (torch.zeros(2),), dynamo=True, verbose=False)
        program.save(path)


@each_format
@pytest.mark.parametrize("batch", [1, 2, 7])
def test_a_file_gives_the_logits_of_the_network_on_real_images(name, batch, network, exported, digits):
    images = np.ascontiguousarray(digits.test.images[:batch].transpose(0, 3, 1, 2), np.float32)
    expected = network.module(torch.from_numpy(images)).numpy()
    found = read_network(exported[name].path, name).logits(images)
    assert found.shape == (batch, 10) and found.dtype == np.float32
    assert np.abs(found - expected).max() < LIMIT
    assert np.ptp(expected) > 1000 * LIMIT  # logits that say something


@each_format
def test_an_export_tells_its_largest_difference_and_size(name, exported):
    assert exported[name].largest_difference < LIMIT
    assert exported[name].bytes == exported[name].path.stat().st_size
    assert list(exported[name].path.parent.glob(".*")) == []  # no partial file is left


@each_format
def test_the_description_comes_back_as_it_was(name, network, exported):
    assert read_network(exported[name].path, name).description == network.description


def test_the_metadata_are_where_other_programs_look(network, exported):
    import onnx
    from safetensors import safe_open

    with safe_open(exported["safetensors"].path, framework="np") as file:
        held = [file.metadata()["medarts"]]
    held += [prop.value for prop in onnx.load(exported["onnx"].path).metadata_props if prop.key == "medarts"]
    extra: dict[str, str] = {"medarts.json": ""}
    torch.export.load(exported["pt2"].path, extra_files=extra)
    held.append(extra["medarts.json"])
    assert [NetworkDescription.model_validate_json(text) for text in held] == [network.description] * 3


def test_the_onnx_file_is_valid_and_alone(exported):
    import onnx

    model = onnx.load(exported["onnx"].path, load_external_data=False)
    onnx.checker.check_model(model, full_check=True)
    assert not [tensor for tensor in model.graph.initializer if onnx.external_data_helper.uses_external_data(tensor)]


def test_onnx_and_pt2_run_without_this_package(exported, network, digits, tmp_path):
    images = np.ascontiguousarray(digits.test.images[:3].transpose(0, 3, 1, 2), np.float32)
    np.save(tmp_path / "images.npy", images)
    code = (
        "import sys, numpy, torch, onnxruntime\n"
        "images = numpy.load('images.npy')\n"
        f"session = onnxruntime.InferenceSession({str(exported['onnx'].path)!r})\n"
        "numpy.save('onnx.npy', session.run(None, {'images': images})[0])\n"
        f"module = torch.export.load({str(exported['pt2'].path)!r}).module()\n"
        "numpy.save('pt2.npy', module(torch.from_numpy(images)).detach().numpy())\n"
        "assert 'medarts_ops' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=120)
    expected = network.module(torch.from_numpy(images)).numpy()
    for name in ("onnx", "pt2"):
        assert np.abs(np.load(tmp_path / f"{name}.npy") - expected).max() < LIMIT


def test_a_second_export_replaces_the_first(network, exported, tmp_path):
    pytest.importorskip("safetensors")
    path = tmp_path / "network.safetensors"
    path.write_bytes(b"older")
    done = export_network(network, path, "safetensors")
    assert done == Exported(path, "safetensors", done.largest_difference, path.stat().st_size)
    assert path.read_bytes() == exported["safetensors"].path.read_bytes()


def test_a_file_that_differs_from_the_network_gets_no_name(network, exported, tmp_path, monkeypatch):
    from safetensors.torch import load, save

    def slightly_wrong(_network, _any_size):
        weights = load(exported["safetensors"].path.read_bytes())
        weights["classifier.bias"][3] += 0.01
        return save(weights, metadata={"medarts": network.description.model_dump_json()})

    monkeypatch.setitem(formats._CONTENTS, "safetensors", slightly_wrong)
    path = tmp_path / "network.safetensors"
    path.write_bytes(b"older")
    with pytest.raises(ExportError, match="would differ from the network: by 0.01 in a logit of 1 images"):
        export_network(network, path, "safetensors")
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"older"]


@pytest.mark.parametrize(("name", "package"), [("onnx", "onnxscript"), ("onnx", "onnxruntime"), ("safetensors",) * 2])
def test_a_missing_package_says_what_to_install(name, package, network, tmp_path, monkeypatch):
    for needed in ("onnx", "onnxscript", "onnxruntime", "safetensors"):
        pytest.importorskip(needed)
    monkeypatch.setitem(sys.modules, package, None)
    path = tmp_path / f"network.{name}"
    for attempt in (lambda: export_network(network, path, name), lambda: read_network(path, name)):
        with pytest.raises(ExportError, match=rf"'{name}' needs the package '{package}'.*'medarts-ops\[export\]'"):
            attempt()
    assert list(tmp_path.iterdir()) == []


def test_pt2_needs_no_extra_package(network, tmp_path, monkeypatch):
    for package in ("onnx", "onnxscript", "onnxruntime", "safetensors"):
        monkeypatch.setitem(sys.modules, package, None)
    assert export_network(network, tmp_path / "network.pt2", "pt2").largest_difference < LIMIT


def test_an_unknown_format_or_another_ending_is_refused(network, tmp_path):
    with pytest.raises(ExportError, match="'onx'.*onnx"):
        export_network(network, tmp_path / "network.onx", "onx")
    with pytest.raises(ExportError, match="its name must end with .pt2"):
        export_network(network, tmp_path / "network.onnx", "pt2")


@pytest.mark.parametrize("place", ["missing/network.pt2", "file/network.pt2"])
def test_a_folder_that_cannot_be_written_is_one_line(place, network, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ExportError, match="can't be written.*name another folder") as caught:
        export_network(network, tmp_path / place, "pt2")
    assert "\n" not in str(caught.value)


@each_format
@pytest.mark.parametrize("kind", ["empty", "noise", "torn", "missing", "folder", "plain"])
def test_a_file_that_is_no_exported_network_is_one_line(name, kind, exported, tmp_path, capfd):
    path = tmp_path / f"broken.{name}"
    whole = exported[name].path.read_bytes()
    if kind == "folder":
        path.mkdir()
    elif kind == "plain":
        write_plain(name, path)
    elif kind != "missing":
        path.write_bytes({"empty": b"", "noise": bytes(range(256)) * 40, "torn": whole[: len(whole) * 2 // 3]}[kind])
    capfd.readouterr()
    with pytest.raises(ExportError, match=f"broken.{name}'") as caught:
        read_network(path, name)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600
    assert capfd.readouterr().err == ""


def test_an_onnx_file_that_contradicts_its_description_is_refused(exported, network, tmp_path):
    import onnx

    model = onnx.load(exported["onnx"].path)
    other = network.description.model_copy(update={"resolution": (16, 16)})
    model.metadata_props[0].value = other.model_dump_json()
    path = tmp_path / "network.onnx"
    onnx.save(model, path)
    with pytest.raises(ExportError, match="contradicts its description"):
        read_network(path, "onnx")


@pytest.mark.parametrize("place", ["graph", "inner graph", "function"])
def test_an_onnx_file_can_not_read_other_files(place, exported, tmp_path, monkeypatch):
    import onnx
    from onnx import helper

    monkeypatch.chdir(tmp_path)
    Path("secret.bin").write_bytes(b"1234")
    elsewhere = onnx.TensorProto(name="secret", data_type=1, dims=[1], data_location=onnx.TensorProto.EXTERNAL)
    for key, value in (("location", "secret.bin"), ("length", "4")):
        elsewhere.external_data.add(key=key, value=value)
    model = onnx.load(exported["onnx"].path)
    if place == "graph":
        model.graph.initializer.append(elsewhere)
    else:
        output = helper.make_tensor_value_info("secret", 1, [1])
        inner = helper.make_graph([], "inner", [], [output], [elsewhere])
        node = helper.make_node("If", ["never"], ["read"], then_branch=inner, else_branch=inner)
        if place == "function":
            opsets = list(model.opset_import)
            model.functions.append(helper.make_function("ours", "Reading", ["never"], ["read"], [node], opsets))
        else:
            model.graph.node.append(node)
    Path("network.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ExportError, match="takes weights from other files"):
        read_network(Path("network.onnx"), "onnx")


def test_a_description_that_would_fill_the_memory_is_not_read(exported, tmp_path):
    path = tmp_path / "network.pt2"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("network/extra/medarts.json", b" " * (2**20 + 1))
    with pytest.raises(ExportError, match="without a description of ours"):
        read_network(path, "pt2")


@pytest.mark.parametrize("batch", [1, 3])
def test_an_onnx_file_says_probabilities_beside_logits(batch, network, exported, digits):
    import onnxruntime

    images = np.ascontiguousarray(digits.test.images[:batch].transpose(0, 3, 1, 2), np.float32)
    session = onnxruntime.InferenceSession(exported["onnx"].path)
    logits, found = session.run(["logits", "probabilities"], {"images": images})
    expected = network.module(torch.from_numpy(images)).softmax(dim=1).numpy()
    assert np.abs(found - expected).max() < LIMIT and logits.shape == (batch, 10)


def test_an_onnx_file_of_an_earlier_release_is_still_read(exported, network, tmp_path):
    import onnx

    model = onnx.load(exported["onnx"].path)
    (place,) = [place for place, output in enumerate(model.graph.output) if output.name == "probabilities"]
    del model.graph.output[place]
    onnx.save(model, tmp_path / "older.onnx")
    assert read_network(tmp_path / "older.onnx", "onnx").description == network.description


def test_weights_alone_take_no_images_of_any_size(network, tmp_path):
    pytest.importorskip("safetensors")
    with pytest.raises(ExportError, match="nothing in it resizes: take .onnx or .pt2"):
        export_network(network, tmp_path / "network.safetensors", "safetensors", any_size=True)
    assert list(tmp_path.iterdir()) == []
