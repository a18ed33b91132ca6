"""Optuna's dashboard on a real search's studies, in a real browser."""

from __future__ import annotations

import optuna
import pytest
from browser.chromium import open_page, wait_for_elements, wait_for_text
from browser.conftest import Story
from selenium.webdriver import Chrome

pytestmark = pytest.mark.slow


def study_id(story: Story, name: str) -> int:
    """The number that the dashboard's addresses name a study by."""
    storage = optuna.storages.get_storage(story.storage)
    return storage.get_study_id_from_name(name)


def test_the_list_has_the_proposals_and_each_stage(driver: Chrome, dashboard: str) -> None:
    open_page(driver, dashboard)
    shown = wait_for_text(driver, *(f"tiny/{study}" for study in ("proposals", "init", "mid", "final")))
    assert shown.count("Direction: MAXIMIZE, MAXIMIZE") == 4


def test_a_stages_study_draws_its_front_under_the_objectives_names(
    driver: Chrome, dashboard: str, story: Story
) -> None:
    open_page(driver, f"{dashboard}studies/{study_id(story, 'tiny/mid')}")
    ranked = story.search.result.stages[1].ranked
    best = "Best Trials" if sum(each.front == 0 for each in ranked) > 1 else "Best Trial (number="
    wait_for_text(driver, "Pareto Front", "Objective X:", "accuracy", "params", best)
    points = wait_for_elements(driver, ".js-plotly-plot .scatterlayer .point", at_least=3)
    assert len(points) >= len(ranked)


def test_a_stages_trials_lead_to_the_individuals_runs(driver: Chrome, dashboard: str, story: Story) -> None:
    stage = story.search.result.stages[1]
    best = stage.ranked[0]
    open_page(driver, f"{dashboard}studies/{study_id(story, 'tiny/mid')}/trials")
    shown = wait_for_text(driver, "User Attributes", f"{len(stage.ranked)} Trials")
    assert f"individual {best.id}" in shown
    assert f"mlflow_run_id {story.search.run_ids[best.id]}" in shown
    assert "front 0" in shown and f"genotype_hash {best.trained.genotype.identity}" in shown
