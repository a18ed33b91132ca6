"""The rooms: who may import whom, and what stays unloaded until it is needed."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

FLOORS = [
    {"errors", "openmp", "seeds", "value", "provenance", "published", "whole_file", "quantities", "visible"},
    {"class_report", "space", "registry", "settings"},
    {
        "alpha",
        "class_report_text",
        "config_choice",
        "config_dataset",
        "config_runtime",
        "config_stages",
        "config_training",
        "dataset_summary",
        "derived",
        "evaluated",
        "hyperparameters",
        "worth",
    },
    {"config_evaluate", "config_proposals", "config_prune"},
    {"config"},
    {"config_parsing", "config_writing", "individual", "shrinking"},
    {"observers", "proposers", "evolution"},
    {"candidates", "experiment", "known_work", "patient_observer", "proposal_outcomes", "tasks", "time_left"},
    {"deadline"},
    {"summary"},
    {"summary_text"},
    {"data", "networks", "journal"},
    {"objectives", "strategies"},
    {"populations"},
    {"training"},
    {"executors", "fitting", "least_steps", "reproducibility"},
    {"resolving"},
    {"population_reading", "short_trainings"},
    {"training_rounds"},
    {"stages", "evaluation"},
    {"search"},
    {"bench", "experiments", "export"},
    {"pictures"},
    {"report"},
    {"tracking"},
    {"configs"},
    {"cli"},
]
"""From the ground up: a room imports from its own floor and those below. Rooms of one floor stay apart."""

TRACKING_FLOORS = [
    {"vocabulary"},
    {"artifacts"},
    {"stores"},
    {"reading", "studies"},
    {"runs"},
    {"place"},
    {"recorders"},
    {"search", "evaluation", "experiment"},
    {"resume", "sync", "deletion", "reproduction"},
]
"""The same within tracking/: its folders, and on top the files that compose them."""

TRACKING_HOMES = {
    "mlflow": {"stores", "runs/logged_model.py", "runs/photo_model.py", "runs/system_metrics.py"},
    "optuna": {"stores", "studies", "deletion.py", "recorders.py", "search.py"},
    "sqlalchemy": {"stores"},
}
"""Libraries within tracking/: folders and files where they are the thing itself; those on top name a storage alone."""

HOMES = {
    "mlflow": {"tracking"},
    "optuna": {"tracking"},
    "sqlalchemy": {"tracking"},
    "click": {"cli"},
    "rich": {"cli"},
    "torch": {"networks", "strategies", "training", "data", "objectives", "bench", "export", "executors"},
    "torchvision": {"data", "bench"},
    "PIL": {"data", "bench", "export"},
    "pillow_heif": {"data"},
    "sklearn": {"data", "training"},
    "scipy": {"experiments"},
    "yaml": {"configs", "config_writing"},
    "matplotlib": {"pictures"},
    "plotly": {"pictures"},
    "jinja2": {"report"},
    "onnx": {"export"},
    "onnxruntime": {"export"},
    "safetensors": {"export"},
    "ray": {"executors"},
}
"""Libraries that live in few rooms only."""


def rooms() -> dict[str, list[Path]]:
    """Every room with its files; a single module is a room of its own."""
    found: dict[str, list[Path]] = {}
    for path in sorted((ROOT / "medarts_ops").rglob("*.py")):
        relative = path.relative_to(ROOT / "medarts_ops")
        if relative.name != "__init__.py" or len(relative.parts) > 1:
            found.setdefault(relative.parts[0].removesuffix(".py"), []).append(path)
    for name in ("tracking", "configs", "cli"):
        found[name] = sorted((ROOT / name).rglob("*.py"))
    return found


@cache
def imports(path: Path) -> frozenset[str]:
    """All imported module names, those inside functions too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            names.add(node.module or "")
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


ROOMS = rooms()


def test_every_room_stands_on_a_floor():
    assert {room for floor in FLOORS for room in floor} == set(ROOMS)


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_no_room_imports_upwards(room):
    floor = next(number for number, names in enumerate(FLOORS) if room in names)
    allowed = {name for names in FLOORS[:floor] for name in names} | {room}
    for path in ROOMS[room]:
        inside = {name.split(".")[1] for name in imports(path) if name.startswith("medarts_ops.")}
        inside &= set(ROOMS)
        assert inside <= allowed, f"{path.name} imports {sorted(inside - allowed)}"


def tracking_room(path: Path) -> str:
    return path.relative_to(ROOT / "tracking").parts[0].removesuffix(".py")


TRACKING = [path for path in ROOMS["tracking"] if path != ROOT / "tracking" / "__init__.py"]


def test_every_room_of_tracking_stands_on_a_floor():
    assert {room for floor in TRACKING_FLOORS for room in floor} == {tracking_room(path) for path in TRACKING}


@pytest.mark.parametrize("path", TRACKING, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_room_of_tracking_imports_upwards(path):
    room = tracking_room(path)
    floor = next(number for number, names in enumerate(TRACKING_FLOORS) if room in names)
    allowed = {name for names in TRACKING_FLOORS[:floor] for name in names} | {room}
    used = {name.split(".")[2] for name in imports(path) if name.startswith("medarts_ops.tracking.")}
    assert used <= allowed, f"{path.name} imports {sorted(used - allowed)}"


@pytest.mark.parametrize("library", sorted(TRACKING_HOMES))
def test_stores_of_others_are_known_where_they_are_the_thing_itself(library):
    for path in TRACKING:
        if library in {name.split(".")[0] for name in imports(path)}:
            relative = path.relative_to(ROOT / "tracking")
            assert {relative.parts[0], str(relative)} & TRACKING_HOMES[library], f"{relative} imports {library}"


def test_mlflow_is_loaded_when_a_store_is_opened_and_not_before():
    """It reads the environment while it is imported, which opening a store prepares."""
    modules = ", ".join(f"medarts_ops.tracking.{name}" for name in ("resume", "sync", "deletion", "runs.logged_model"))
    assert "mlflow" not in loaded_by(f"import {modules}")


def test_the_words_of_the_stores_are_written_in_the_vocabulary_alone():
    paths = [path for paths in ROOMS.values() for path in paths] + list((ROOT / "docs").glob("*.py"))
    written = [path for path in paths if re.search(r"[\"'`]medarts\.[a-z]", path.read_text(encoding="utf-8"))]
    assert written == [ROOT / "tracking" / "vocabulary.py"]


def test_pictures_know_the_travelling_values_and_nothing_that_computes():
    core = {"alpha", "errors", "space", "config", "individual", "observers", "evolution", "objectives", "pictures"}
    core |= {"class_report", "published", "quantities", "summary", "summary_text"}
    for path in ROOMS["pictures"]:
        inside = {name.split(".")[1] for name in imports(path) if name.startswith("medarts_ops.")}
        assert inside & set(ROOMS) <= core, f"{path.name} imports {sorted(inside - core)}"


@pytest.mark.parametrize("library", sorted(HOMES))
def test_libraries_live_in_their_rooms(library):
    for room, paths in ROOMS.items():
        for path in paths:
            used = {name.split(".")[0] for name in imports(path)}
            assert library not in used or room in HOMES[library], f"{path} imports {library}"


def test_no_file_is_imported_by_its_folder_name():
    for paths in ROOMS.values():
        for path in paths:
            assert not {name.split(".")[0] for name in imports(path)} & {"cli", "tracking", "configs"}


def test_cuda_is_named_by_the_runtime_alone():
    for room, paths in ROOMS.items():
        for path in paths:
            if path.name != "runtime.py" and room not in ("config", "cli"):
                assert not re.search(r"torch\.cuda|\.cuda\(|cudnn", path.read_text(encoding="utf-8")), path


def loaded_by(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(' '.join(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.splitlines()[-1].split())


def test_importing_the_package_loads_nothing_heavy():
    loaded = loaded_by("import medarts_ops")
    assert not loaded & {"torch", "mlflow", "optuna", "pandas", "numpy", "pydantic"}


def test_the_public_names_are_there():
    import medarts_ops

    for name in medarts_ops.__all__:
        assert getattr(medarts_ops, name) is not None
    with pytest.raises(AttributeError, match="tracked_search"):
        medarts_ops.nonsense  # noqa: B018
