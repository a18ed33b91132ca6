"""A search whose children are made by every operator, from its settings to its runs and pages."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from factories import make_search_config_tiny

from medarts_ops.config import ChildrenConfig, ResolvedSearchConfig
from medarts_ops.report.page import report_html
from medarts_ops.search import run_search
from medarts_ops.tracking.reading.search_report import search_report
from medarts_ops.tracking.search import TrackedSearch, tracked_search

ORIGINS = ["inherited"] * 2 + ["crossover"] * 2 + ["nodewise", "mutation", "consensus"]


def config() -> ResolvedSearchConfig:
    """Two survivors and five children, one epoch each."""
    tiny = make_search_config_tiny()
    children = ChildrenConfig(swap=2, nodewise=1, mutation=1, consensus=1)
    stages = (tiny.stages[0], tiny.stages[1].model_copy(update={"children": children}))
    return tiny.model_copy(update={"stages": stages})


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, template_database: Path) -> tuple[TrackedSearch, str, Path]:
    folder = tmp_path_factory.mktemp("operators")
    shutil.copy(template_database, folder / "mlflow.db")
    store, work = f"sqlite:///{folder / 'mlflow.db'}", folder / "work"
    studies = f"sqlite:///{folder / 'optuna.db'}"
    found = tracked_search(
        config(), name="operators", tracking_uri=store, storage=studies, work_dir=work, pictures=False
    )
    return found, store, work


def test_every_operator_gives_its_children(found: tuple[TrackedSearch, str, Path]) -> None:
    individuals = [one.trained.individual for one in found[0].result.stages[1].ranked]
    individuals.sort(key=lambda individual: individual.number)
    assert [individual.origin for individual in individuals] == ORIGINS
    first, second = (one.id for one in found[0].result.stages[0].ranked[:2])
    assert [individual.parents for individual in individuals[2:]] == [
        (first, second), (second, first), (first, second), (first,), (first, second)
    ]  # fmt: skip
    assert len({individual.alpha for individual in individuals}) >= 6  # of two nodes, some mixtures are cell swaps


def test_runs_and_the_report_name_the_operators(found: tuple[TrackedSearch, str, Path]) -> None:
    tracked, uri, work = found
    report, store = search_report("operators", tracking_uri=uri, work_dir=work)
    runs = [store.find_run(report.run_ids[f"mid-{number:02d}"]) for number in range(7)]
    assert [run.tags["medarts.origin"] for run in runs] == ORIGINS
    parents = [report.run_ids[one.id] for one in tracked.result.stages[0].ranked[:2]]
    assert runs[6].tags["medarts.parents"].split(",") == parents
    page = report_html(report)
    assert all(f"<td>{origin}</td>" in page for origin in ORIGINS)


def test_such_a_search_repeats_bit_for_bit(found: tuple[TrackedSearch, str, Path], tmp_path: Path) -> None:
    once, again = (
        {one.id: one.trained.individual.alpha for stage in result.stages for one in stage.ranked}
        for result in (found[0].result, run_search(config(), tmp_path))
    )
    assert once == again
