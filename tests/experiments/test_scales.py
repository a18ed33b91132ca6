"""The sizes of experiments."""

from __future__ import annotations

import pytest

from medarts_ops.config import EvaluateConfig
from medarts_ops.experiments.scales import default_networks, default_seeds, paper_settings, small_settings


def test_the_papers_figures_are_those_of_its_section_four_d():
    assert paper_settings("fig5") == paper_settings("fig6") == {"cells": 8, "epochs": 100, "batch": 96}
    assert (default_seeds("fig5", "paper"), default_networks("paper")) == ((0, 1, 2, 3, 4), 10)


def test_the_papers_tables_are_trained_as_evaluations_are():
    assert paper_settings("table3") == paper_settings("table4") == {}
    assert default_seeds("table4", "paper") == default_seeds("table3", "small") == (0, 1, 2)


@pytest.mark.parametrize("kind", ["table3", "table4", "fig5", "fig6"])
def test_small_settings_are_settings(kind):
    asked = small_settings(kind, 20_000, 32)
    config = EvaluateConfig.model_validate(asked)
    assert config.images == 3_000 and config.dataset.sampling == "stratified"
    assert config.images * config.epochs <= 24_000


def test_few_images_are_all_taken():
    assert small_settings("table4", 1438, 8)["images"] is None and "dataset" not in small_settings("table4", 1438, 8)


def test_images_too_small_to_be_halved_are_enlarged_for_fig6_alone():
    assert small_settings("fig6", 1438, 8)["dataset"] == {"resolution": 16}
    assert "dataset" not in small_settings("fig6", 1438, 16)
    assert default_seeds("fig6", "small") == (0, 1) and default_networks("small") == 6
