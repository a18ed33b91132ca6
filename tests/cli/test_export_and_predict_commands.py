"""`medarts export` and `medarts predict`: a real evaluation, its files, and real images."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from factories import make_evaluate_config_tiny, make_evaluation_events, make_genotype
from PIL import Image
from refusals import assert_refused, invoke

from medarts_ops.data.registry import load_dataset
from medarts_ops.tracking.evaluation import TrackedEvaluation, tracked_evaluation
from medarts_ops.tracking.runs.evaluation_runs import MlflowEvaluationObserver
from medarts_ops.tracking.stores.opening import open_store


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory, template_database: Path) -> tuple[Path, TrackedEvaluation]:
    """A folder with a store, a work directory and a finished evaluation `mine` in them, and some test images."""
    folder = tmp_path_factory.mktemp("evaluated")
    shutil.copy(template_database, folder / "mlflow.db")
    config = make_evaluate_config_tiny()
    found = tracked_evaluation(
        config,
        genotype=make_genotype("sep_conv_3x3", nodes=2),
        name="mine",
        tracking_uri=f"sqlite:///{folder}/mlflow.db",
        work_dir=folder / "medarts-work",
        pictures=False,
    )
    images = load_dataset(config.dataset).test.images
    for number in range(3):
        Image.fromarray(np.asarray(images[number]).squeeze()).save(folder / f"{number}.png")
    return folder, found


@pytest.fixture
def here(evaluated: tuple[Path, TrackedEvaluation], monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(evaluated[0])
    return evaluated[0]


def predicted(*words: str) -> list[list[str]]:
    result = invoke("predict", *words, "0.png", "1.png", "2.png", "--json")
    assert result.exit_code == 0, result.output
    return [[guess["name"] for guess in answer["classes"]] for answer in json.loads(result.stdout)]


def test_an_evaluation_is_exported_by_name_and_by_run_and_both_classify_alike(
    here: Path, evaluated: tuple[Path, TrackedEvaluation], tmp_path: Path
) -> None:
    by_name = invoke("export", "mine", "--output", str(tmp_path / "a.pt2"))
    assert by_name.exit_code == 0, by_name.output
    assert "checked" in by_name.stdout and f"medarts predict {tmp_path / 'a.pt2'} --trusted IMAGE…" in by_name.stdout
    elsewhere = ("--work-dir", str(tmp_path / "elsewhere"), "--output", str(tmp_path / "b.pt2"), "--json")
    by_run = invoke("export", evaluated[1].run_id, *elsewhere)
    assert by_run.exit_code == 0, by_run.output
    assert json.loads(by_run.stdout)["largest_difference"] < 1e-4
    answers = [predicted(str(tmp_path / name), "--trusted") for name in ("a.pt2", "b.pt2")]
    assert answers[0] == answers[1] and all(len(names) == 3 for names in answers[0])


@pytest.mark.parametrize("format", ["onnx", "safetensors"])
def test_the_other_formats_need_no_trust_and_give_the_same_classes(here: Path, tmp_path: Path, format: str) -> None:
    for package in ("onnx", "onnxscript", "onnxruntime", "safetensors"):
        pytest.importorskip(package)
    assert invoke("export", "mine", "--output", str(tmp_path / f"a.{format}")).exit_code == 0
    assert invoke("export", "mine", "--output", str(tmp_path / "a.pt2")).exit_code == 0
    assert predicted(str(tmp_path / f"a.{format}")) == predicted(str(tmp_path / "a.pt2"), "--trusted")


def test_a_model_in_the_store_says_how_to_serve_it(here: Path, evaluated: tuple[Path, TrackedEvaluation]) -> None:
    shown = invoke("export", "mine", "--format", "mlflow")
    assert (shown.exit_code, shown.stderr) == (0, ""), shown.output
    assert "checked  its logits differ by at most" in shown.stdout
    told = invoke("export", evaluated[1].run_id, "--format", "mlflow", "--json")
    assert told.exit_code == 0, told.output
    found = json.loads(told.stdout)
    assert (found["format"], found["run_id"]) == ("mlflow", evaluated[1].run_id)
    assert found["largest_difference"] < 1e-4
    model = re.fullmatch(r"models:/m-[0-9a-f]{32}", found["model_uri"])
    assert model and model[0] not in shown.stdout
    command = (
        rf"\n  MLFLOW_TRACKING_URI=sqlite:///{re.escape(str(here))}/mlflow\.db "
        r"mlflow models serve -m models:/m-[0-9a-f]{32} --env-manager local --port 5001\n"
    )
    assert re.search(command, shown.stdout)
    assert not list(here.glob("mine.*"))


def test_a_table_names_each_image_and_its_classes(here: Path, tmp_path: Path) -> None:
    invoke("export", "mine", "--output", str(tmp_path / "a.pt2"))
    result = invoke("predict", str(tmp_path / "a.pt2"), "0.png", "--top", "2", "--trusted")
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["image", "class", "probability"]
    assert len(lines) == 3 and lines[1].startswith("0.png") and lines[1].endswith("%")


@pytest.fixture
def safe(here: Path) -> str:
    """The network's file in a format that needs no trust."""
    pytest.importorskip("safetensors")
    path = here / "safe.safetensors"
    if not path.exists():
        assert invoke("export", "mine", "--output", str(path)).exit_code == 0
    return str(path)


@pytest.fixture
def photos(here: Path, tmp_path: Path) -> Path:
    """A folder with three images at two depths, one torn, one text, and one in a system's folder."""
    for name in ("a/0.png", "a/deep/1.png", "b/2.png", "b/@eaDir/2.png"):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(here / f"{Path(name).stem}.png", tmp_path / "photos" / name)
    (tmp_path / "photos" / "b" / "torn.png").write_bytes((here / "0.png").read_bytes()[:60])
    (tmp_path / "photos" / "notes.txt").write_text("no image")
    return tmp_path / "photos"


def test_a_folder_becomes_a_line_an_image_in_a_csv_file_and_a_bad_file_stops_nothing(safe: str, photos: Path) -> None:
    target = photos.parent / "classes.csv"
    result = invoke("predict", safe, str(photos), "--csv", str(target), "--top", "2")
    told = r"1 of 4 images can't be read, the first is '.*torn.png' \(.+\): replace or remove them"
    assert result.exit_code == 1 and re.search(told, result.stderr), result.output
    assert "1 file passed over, being no images that Pillow reads: 1 .txt" in result.stderr
    assert f"file        {target}\nclassified  3 images\n" in result.stdout
    rows = pd.read_csv(target)
    assert list(rows) == ["image", "class", "probability", "class_2", "probability_2", "error"]
    names = ["a/0.png", "a/deep/1.png", "b/2.png", "b/torn.png"]
    assert list(rows["image"]) == [str(photos / name) for name in names]
    assert list(rows["error"].notna()) == [False, False, False, True]
    alone = json.loads(invoke("predict", safe, "0.png", "1.png", "2.png", "--top", "2", "--json").stdout)
    expected = [guess["probability"] for answer in alone for guess in answer["classes"]]
    assert rows[["probability", "probability_2"]].to_numpy()[:3].ravel() == pytest.approx(expected, abs=1e-6)


def test_patterns_that_no_shell_expanded_are_expanded_and_errors_stand_in_the_json(safe: str, photos: Path) -> None:
    result = invoke("predict", safe, str(photos / "**" / "[0-1].png"), str(photos / "none*.jpg"), "--json", "--top=1")
    assert result.exit_code == 1
    missing, *classified = json.loads(result.stdout)  # what nothing is known of goes first
    assert [Path(answer["image"]).name for answer in classified] == ["0.png", "1.png"]
    assert missing.pop("error") == "no file matches this pattern; `**` is for folders of any depth"
    assert missing == {"image": str(photos / "none*.jpg"), "classes": []}


def test_what_is_no_file_and_what_can_be_none_is_said_by_name_and_waited_for_by_nobody(safe: str, photos: Path) -> None:
    os.mkfifo(photos / "pipe.png")
    odd = [str(photos / "pipe.png"), "~nobody-of-that-name/9.png", "n" * 300]
    result = invoke("predict", safe, *odd, str(photos / "a" / "0.png"), "--json")
    reasons = {Path(answer["image"]).name: answer.get("error") for answer in json.loads(result.stdout)}
    assert result.exit_code == 1 and reasons.pop("pipe.png") == "neither a file nor a folder"
    assert list(reasons.values()) == ["No such file or directory", "File name too long", None]
    assert "IMAGES has an empty name" in invoke("predict", safe, "").stderr


def test_csv_on_stdout_is_nothing_but_csv(safe: str, photos: Path) -> None:
    result = invoke("predict", safe, str(photos / "a"), str(photos / "a" / "0.png"), "--csv", "-", "--top", "1")
    assert (result.exit_code, result.stderr) == (0, f"loading {safe!r}\n")
    lines = result.stdout.splitlines()
    assert lines[0] == "image,class,probability,error" and len(lines) == 3  # an image that is named twice is one


def test_a_photo_is_not_taken_for_the_csv_file(safe: str, photos: Path) -> None:
    photo = photos / "a" / "0.png"
    before = photo.read_bytes()
    result = invoke("predict", safe, "--csv", str(photo), str(photos / "b" / "2.png"))
    assert result.exit_code == 2 and "allowed is a file whose name ends with .csv" in result.stderr
    assert photo.read_bytes() == before


@pytest.fixture
def forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test loads of a model's own code is forgotten after it."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name in [name for name in sys.modules if name.startswith("medarts_photos")]:
        del sys.modules[name]


def served(model: Any, content: dict[str, Any]) -> Any:
    """What MLflow's server answers, without its process."""
    from mlflow.pyfunc.scoring_server import invocations  # warns of itself where it is imported first

    asked = invocations(json.dumps(content), "application/json", model, model.metadata.get_input_schema())
    return json.loads(asked.response)["predictions"]


@pytest.mark.usefixtures("forgotten")
def test_a_model_in_the_registry_takes_photos_of_any_size_and_answers_as_predict_does(
    here: Path, evaluated: tuple[Path, TrackedEvaluation], safe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Beside MLflow's current store: nothing else may read that one.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/elsewhere.db")
    words = ("export", "mine", "--format", "mlflow", "--any-size", "--register", "digits", "--alias", "champion")
    told = invoke(*words, "--tracking-uri", f"sqlite:///{here}/mlflow.db", "--json")
    assert (told.exit_code, told.stderr) == (0, ""), told.output
    made = json.loads(told.stdout)
    assert (made["name"], made["version"], made["registered_uri"]) == ("digits", 1, "models:/digits@champion")
    photos = [tmp_path / name for name in ("a.jpg", "b.png")]
    for number, photo in enumerate(photos):
        Image.open(here / f"{number}.png").resize((57, 31)).save(photo)
    expected = json.loads(invoke("predict", safe, *map(str, photos), "--json", "--top", "10").stdout)

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{here}/mlflow.db")
    model = mlflow.pyfunc.load_model(made["registered_uri"])
    texts = [base64.b64encode(photo.read_bytes()).decode() for photo in photos]
    for answers in (
        model.predict(pd.DataFrame({"image": texts})).to_dict("records"),
        served(model, {"dataframe_split": {"columns": ["image"], "data": [[text] for text in texts]}}),
        served(model, {"inputs": texts}),
    ):
        assert [answer["class"] for answer in answers] == [each["classes"][0]["name"] for each in expected]
        for answer, each in zip(answers, expected, strict=True):
            by_name = {guess["name"]: guess["probability"] for guess in each["classes"]}
            assert answer["probabilities"] == pytest.approx(by_name, abs=1e-6)
            assert answer["probability"] == max(answer["probabilities"].values())
    with pytest.raises(ValueError, match="image 0 is no image that Pillow reads"):
        model.predict(pd.DataFrame({"image": [base64.b64encode(b"hello").decode()]}))
    with pytest.raises(ValueError, match="image 1 is no base64"):
        model.predict(pd.DataFrame({"image": [texts[0], "Größe"]}))
    assert model.input_example["image"].str.startswith("iVBOR").all()  # a PNG file's first bytes

    client = mlflow.MlflowClient()
    version = client.get_model_version_by_alias("digits", "champion")
    assert (version.run_id, version.source) == (evaluated[1].run_id, made["model_uri"])
    assert version.tags["medarts.evaluation_id"] == "mine" and "medarts.genotype_hash" in version.tags
    assert float(version.tags["medarts.test_error"]) == evaluated[1].result.test_error
    logged = client.get_logged_model(made["model_uri"].removeprefix("models:/"))
    assert json.loads(logged.tags["mlflow.modelVersions"]) == [{"name": "digits", "version": version.version}]
    assert "evaluation mine" in version.description and "Genotype(" in version.description

    shown = invoke("export", "mine", "--register", "digits", "--alias", "champion")
    assert "registered  digits, version 2, alias champion, which was version 1's\n" in shown.stdout, shown.output
    assert "mlflow.pyfunc.load_model('models:/digits@champion')" in shown.stdout


def test_an_evaluation_without_a_logged_model_can_not_be_registered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, template_database: Path
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")  # beside the store, which a refusal leaves empty where it is run
    shutil.copy(template_database, tmp_path / "mlflow.db")
    observer = MlflowEvaluationObserver(open_store(f"sqlite:///{tmp_path}/mlflow.db"), "alone", parent_run_id=None)
    for event in make_evaluation_events():
        observer.notify(event)
    store = ("--tracking-uri", f"sqlite:///{tmp_path}/mlflow.db", "--work-dir", str(tmp_path / "none"))
    result = invoke("export", "alone", "--register", "birds", *store)
    assert_refused(result, 1, "evaluation 'alone' has no logged model: give --format mlflow beside --register")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("export", "mine", "--register", "a/b"), 2, "allowed is a name without / and :"),
        (("export", "mine", "--register", "a", "--alias", "Latest"), 2, "but not latest and v1"),
        (("export", "mine", "--alias", "champion"), 2, "give it by --register NAME"),
        (("export", "mine", "--register", "a", "--output", "a.onnx"), 2, "not with a file"),
        (("export", "mine", "--register", "a", "--any-size"), 2, "give --format mlflow, too"),
        (("export", "mine", "--output", "a.safetensors", "--any-size"), 1, "take .onnx or .pt2"),
        (("export", "nothing"), 1, "no run 'nothing'"),
        (("export", "mine", "--format", "onnx", "--output", "mine.pt2"), 1, "mine.pt2"),
        (("export", "mine", "--output", "mine.h5"), 1, "allowed endings are .pt2, .onnx and .safetensors"),
        (("export", "mine", "--format", "mlflow", "--output", "mine.pt2"), 2, "--output goes with a file"),
        (("export", "nothing", "--format", "mlflow"), 1, "no run 'nothing'"),
        (("export", "mine", "--format", "mlflow", "--tracking-uri", "sqlite:///no.db"), 1, "there is no store at"),
        (("predict", "0.png", "1.png"), 1, "allowed endings are .pt2, .onnx and .safetensors"),
        (("predict", "nothing.onnx", "1.png"), 2, "nothing.onnx"),
    ],
)
def test_what_can_t_be_is_one_line(here: Path, words: tuple[str, ...], code: int, message: str) -> None:
    result = invoke(*words)
    *before, error = result.stderr.splitlines()
    assert (result.exit_code, error.startswith("error: ")) == (code, True), result.output
    assert all(line.startswith("loading ") for line in before)
    assert message in result.stderr and not Path("mine.pt2").exists()


def test_a_pt2_file_is_loaded_only_if_it_is_trusted(here: Path, tmp_path: Path) -> None:
    invoke("export", "mine", "--output", str(tmp_path / "a.pt2"))
    result = invoke("predict", str(tmp_path / "a.pt2"), "0.png")
    assert result.exit_code == 1 and "say that you trust it" in result.stderr
