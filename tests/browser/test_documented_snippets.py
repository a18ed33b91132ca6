"""The filters and programs in docs/tracking.md, tried on a real search."""

from __future__ import annotations

import gc
import re
import warnings
from pathlib import Path
from typing import Any

import mlflow
import pytest
from browser.conftest import Story

pytestmark = pytest.mark.slow

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tracking.md"


@pytest.fixture
def page(story: Story) -> str:
    """The page, with this search's name and genotype in the place of its example's."""
    hashes = {"164a54d50e5f": story.search.result.best.trained.genotype.identity}
    text = PAGE.read_text(encoding="utf-8").replace("digits", story.search.result.search_id)
    return re.sub("|".join(hashes), lambda found: hashes[found[0]], text)


def test_each_filter_is_understood_and_finds_what_is_there(page: str, story: Story) -> None:
    client = mlflow.MlflowClient(story.tracking_uri)
    filters = re.findall(r"^\| ``(.+?)`` \|", page, flags=re.MULTILINE)
    found = {each: len(client.search_runs([story.search.experiment_id], each)) for each in filters}
    assert len(found) == 10
    chance = ("normal_skips", "'FAILED'", "test_error", "balanced_accuracy")  # a search this small may have none
    assert all(found[each] > 0 for each in filters if not any(word in each for word in chance)), found


def test_the_programs_run_as_they_stand(
    page: str, story: Story, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(Path(story.tracking_uri.removeprefix("sqlite:///")).parent)
    names: dict[str, Any] = {}
    try:
        for program in re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL):
            exec(program, names)
    finally:
        mlflow.set_tracking_uri(None)  # out of the process's environment, too
    printed = capsys.readouterr().out
    best = story.best_first[0]
    assert best in printed and story.search.run_ids[best] == names["best"].info.run_id
    front = {each.id for each in story.search.result.stages[0].ranked if each.front == 0}
    assert {trial.user_attrs["individual"] for trial in names["study"].best_trials} == front
    assert "plotly" in Path("front.html").read_text(encoding="utf-8")
    with warnings.catch_warnings():
        # A program on a page leaves its connections to its end, which is now.
        warnings.simplefilter("ignore", ResourceWarning)
        names.clear()
        gc.collect()


def test_its_pictures_and_pages_are_there() -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", PAGE.read_text(encoding="utf-8"))
    assert len(targets) >= 6 and [each for each in targets if not (PAGE.parent / each).is_file()] == []


def test_every_artifact_tag_and_metric_of_a_finished_search_is_on_the_page(story: Story) -> None:
    page = PAGE.read_text(encoding="utf-8")
    client = mlflow.MlflowClient(story.tracking_uri)
    missing = set()
    for run in client.search_runs([story.search.experiment_id]):
        missing |= {each.path for each in client.list_artifacts(run.info.run_id) if each.path not in page}
        missing |= {tag for tag in run.data.tags if tag.startswith("medarts.") and f"`{tag}`" not in page}
        # A class's own name stands for those of all.
        kinds = {metric: re.sub(r"^(recall|precision)\..+", r"\1.<class>", metric) for metric in run.data.metrics}
        missing |= {metric for metric, kind in kinds.items() if f"`{kind}`" not in page}
    speed = {"images_per_second", "epoch_seconds", "cpu_hours"}
    bookkeeping = {
        "medarts.key",
        "medarts.version",
        "medarts.torch_version",
        "medarts.evaluation_id",
        "evaluation.json",
    }
    assert missing - speed - bookkeeping == set()
