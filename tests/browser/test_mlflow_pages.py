"""MLflow's pages on a real search, in a real browser: each is opened by a link of ours and shows what it promises."""

from __future__ import annotations

import json

import pytest
from browser.chromium import console_errors, open_page, page_text, wait_for_elements, wait_for_text, wait_until
from browser.conftest import Story
from browser.mlflow_page import (
    artifact_link,
    cells,
    expand,
    open_mlflow,
    points_of_charts,
    press,
    previewed_page,
    rows,
    show_columns,
    table,
    wait_for_charts,
    wait_for_picture,
    wait_for_rows,
)
from browser.servers import Pages
from selenium.webdriver import Chrome

from medarts_ops.tracking.reading.links import compared_runs_link, experiment_link
from medarts_ops.tracking.stores.opening import open_store

pytestmark = pytest.mark.slow


def run_page(pages: Pages, story: Story, run_id: str) -> str:
    """Where MLflow's table of runs leads from one of its names."""
    runs = experiment_link(pages.url, story.search.experiment_id)
    return runs.replace("/runs?", f"/runs/{run_id}?")


def test_the_experiment_opens_in_model_training_mode_and_says_what_lies_in_it(
    driver: Chrome, pages: Pages, story: Story
) -> None:
    open_mlflow(driver, experiment_link(pages.url, story.search.experiment_id))
    wait_for_rows(driver, "tiny")
    shown = wait_for_text(driver, "Model training", "Searches for architectures by medarts-ops")
    assert "Judges" not in shown  # as MLflow's other mode has
    assert len(driver.find_elements("css selector", "li code")) >= 5  # markdown, drawn as such
    open_mlflow(driver, pages.link)
    assert "Judges" not in wait_for_text(driver, "Model training", "matching runs")


def test_the_switch_that_the_note_names_is_there_and_is_remembered(driver: Chrome, pages: Pages, story: Story) -> None:
    plain = f"{pages.url}/#/experiments/{story.search.experiment_id}"
    open_mlflow(driver, experiment_link(pages.url, story.search.experiment_id))
    open_page(driver, plain)
    wait_for_text(driver, "Judges")
    press(driver, "Model training")
    wait_for_rows(driver, "tiny")
    open_page(driver, plain)
    wait_for_rows(driver, "tiny")


def test_the_runs_table_has_the_search_with_its_stages_and_individuals_inside(
    driver: Chrome, pages: Pages, story: Story
) -> None:
    open_mlflow(driver, experiment_link(pages.url, story.search.experiment_id))
    wait_for_rows(driver, "tiny")  # nothing of it lies at the top level
    expand(driver, "tiny")
    stages = ["stage-final", "stage-mid", "stage-init"]  # the newest first
    search, *below = wait_for_rows(driver, "tiny", "tiny-evaluated", *stages)
    assert len({row.indent for row in below}) == 1
    assert below[0].indent > search.indent
    expand(driver, "stage-mid")
    individuals = [f"mid-{number:02}" for number in (2, 1, 0)]
    tree = wait_for_rows(driver, "tiny", "tiny-evaluated", "stage-final", "stage-mid", *individuals, "stage-init")
    indents = {row.name: row.indent for row in tree}
    assert indents["mid-00"] > indents["stage-mid"]


def test_the_runs_table_has_columns_for_objectives_and_tags(driver: Chrome, pages: Pages, story: Story) -> None:
    best = story.search.result.best
    open_mlflow(driver, experiment_link(pages.url, story.search.experiment_id))
    wait_for_rows(driver, "tiny")
    show_columns(driver, "accuracy", "params", "medarts.kind", "medarts.stage", "medarts.origin")
    for opened in ("tiny", "stage-final"):
        expand(driver, opened)
    wait_for_elements(driver, '.ag-cell[col-id="tags.`medarts.origin`"]')
    wait_for_text(driver, best.id)
    shown = cells(driver, best.id)
    assert float(shown["metrics.`accuracy`"].rstrip("…")) == pytest.approx(best.trained.valid_accuracy, abs=1e-3)
    assert shown["metrics.`params`"] == f"{best.evaluated.objectives['params']:.0f}"
    assert shown["tags.`medarts.kind`"] == "individual"
    assert shown["tags.`medarts.stage`"] == "final"
    assert shown["tags.`medarts.origin`"] == "inherited"
    assert cells(driver, "tiny")["metrics.`accuracy`"] == shown["metrics.`accuracy`"]


def test_the_printed_link_charts_the_individuals_best_first(driver: Chrome, pages: Pages, story: Story) -> None:
    open_mlflow(driver, pages.link)
    wait_for_text(driver, f"{len(story.best_first)} matching runs", "accuracy", "alpha_loss")
    wait_for_charts(driver, at_least=4)
    listed = [row.name for row in rows(driver)]
    assert sorted(listed) == sorted(story.best_first)
    accuracies = [story.accuracy_of(name) for name in listed]
    assert accuracies == sorted(accuracies, reverse=True)
    assert len({row.indent for row in rows(driver)}) == 1  # a flat list: nested runs would not be charted


def test_compared_runs_stand_side_by_side_with_what_differs(driver: Chrome, pages: Pages, story: Story) -> None:
    compared = ("init-00", "init-01", "final-00")
    ids = [story.search.run_ids[name] for name in compared]
    open_mlflow(driver, compared_runs_link(pages.url, [story.search.experiment_id], ids))
    wait_for_text(driver, "Comparing 3 Runs from 1 Experiment", "Parameters", "Metrics")
    wait_for_charts(driver, at_least=1)
    wait_for_text(driver, "alpha_lr")
    facts, differing = table(driver), table(driver, ".diff-row")
    assert facts["Run Name"] == list(compared)
    assert {"alpha_lr", "weights_lr", "cells"} <= differing.keys()
    assert "batch" in facts and "batch" not in differing
    by_name = {each.id: each for stage in story.search.result.stages for each in stage.ranked}
    rates = [by_name[name].trained.individual.hyperparameters.alpha_lr for name in compared]
    assert [float(text) for text in differing["alpha_lr"]] == rates


def test_the_search_runs_page_tells_what_was_found_and_leads_on(driver: Chrome, pages: Pages, story: Story) -> None:
    best = story.search.result.best
    open_mlflow(driver, run_page(pages, story, story.search.run_id))
    wait_for_text(driver, "Description", best.id, "Child runs", "stage-final", "tiny-evaluated", "medarts.kind")
    note = wait_for_elements(driver, '[data-testid="note-editor-preview-content"]')[0]
    assert note.find_elements("css selector", "table")  # markdown, drawn as such
    assert "| stage |" not in page_text(driver)
    links = {
        each.text.strip(", "): each
        for each in driver.find_elements("css selector", '[data-testid="key-value-Child runs"] a')
    }
    assert {"stage-init", "stage-mid", "stage-final", "tiny-evaluated"} <= links.keys()
    links["stage-final"].click()
    wait_for_text(driver, "Parent run", "final-00")
    parent = driver.find_element("css selector", '[data-testid="key-value-Parent run"] a')
    assert parent.text == "tiny"


def test_the_search_runs_charts_have_a_point_for_each_stage(driver: Chrome, pages: Pages, story: Story) -> None:
    page = run_page(pages, story, story.search.run_id)
    open_mlflow(driver, page.replace("?", "/model-metrics?"))
    wait_for_text(driver, "best_accuracy", "front_size", "stage_hours", "hypervolume")
    wait_for_charts(driver, at_least=4)
    stages = len(story.search.result.stages)
    wait_until(driver, lambda: stages in points_of_charts(driver), lambda: points_of_charts(driver))


def test_an_individuals_page_charts_its_epochs_and_names_its_stage(driver: Chrome, pages: Pages, story: Story) -> None:
    run_id = story.search.run_ids[story.search.result.best.id]
    page = run_page(pages, story, run_id)
    open_mlflow(driver, page)
    wait_for_text(driver, "Parent run", "stage-final", "medarts.parents")
    open_mlflow(driver, page.replace("?", "/model-metrics?"))
    wait_for_text(driver, "alpha_loss", "Step")
    wait_for_charts(driver, at_least=4)


def test_json_artifacts_are_shown_as_text(driver: Chrome, pages: Pages, story: Story) -> None:
    run_id, experiment = story.search.run_id, story.search.experiment_id
    open_mlflow(driver, artifact_link(pages.url, experiment, run_id, "lineage.json"))
    wait_for_text(driver, "config.json", "genotype.json", "medarts-lineage")
    assert json.dumps(story.search.result.best.id) in page_text(driver)


@pytest.mark.parametrize("name", ["lineage.png", "genotype.png"])
def test_a_searchs_pictures_are_shown(driver: Chrome, pages: Pages, story: Story, name: str) -> None:
    link = artifact_link(pages.url, story.search.experiment_id, story.search.run_id, f"pictures/{name}")
    open_mlflow(driver, link)
    wait_for_picture(driver, width=300)


@pytest.mark.parametrize("name", ["genotype.png", "alpha.png", "alpha-epochs.png", "training.png"])
def test_an_individuals_pictures_are_shown(driver: Chrome, pages: Pages, story: Story, name: str) -> None:
    run_id = story.search.run_ids[story.search.result.best.id]
    open_mlflow(driver, artifact_link(pages.url, story.search.experiment_id, run_id, f"pictures/{name}"))
    wait_for_picture(driver, width=300)


def test_a_stages_front_is_a_chart_of_its_own(driver: Chrome, pages: Pages, story: Story) -> None:
    run_id = open_store(story.tracking_uri).find_run(story.search.run_ids["mid-00"]).parent_run_id
    assert run_id is not None
    open_mlflow(driver, artifact_link(pages.url, story.search.experiment_id, run_id, "pictures/front.html"))
    with previewed_page(driver):
        wait_for_text(driver, "Pareto", "mid", "front 0")
        wait_for_charts(driver, at_least=1)


def test_the_searchs_report_is_shown_inside_mlflow(driver: Chrome, pages: Pages, story: Story) -> None:
    link = artifact_link(pages.url, story.search.experiment_id, story.search.run_id, "report.html")
    open_mlflow(driver, link)
    with previewed_page(driver):
        wait_for_text(driver, story.search.result.best.id, story.search.run_id)
        wait_for_picture(driver, width=300)
    assert [error for error in console_errors(driver) if "users/current" not in error] == []


@pytest.mark.parametrize("name", ["genotype.png", "training.png"])
def test_an_evaluations_pictures_are_shown(driver: Chrome, pages: Pages, story: Story, name: str) -> None:
    link = artifact_link(pages.url, story.evaluation.experiment_id, story.evaluation.run_id, f"pictures/{name}")
    open_mlflow(driver, link)
    wait_for_picture(driver, width=300)
