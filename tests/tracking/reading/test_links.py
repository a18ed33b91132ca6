"""Links into MLflow's pages; tests/browser opens them."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from medarts_ops.config import ResolvedObjective
from medarts_ops.tracking.reading.links import compared_runs_link, experiment_link, individuals_link

PARAMS = ResolvedObjective(name="params", direction="maximize")


def query(link: str) -> dict[str, list[str]]:
    """The parameters behind the `#` of a link."""
    return parse_qs(urlsplit(urlsplit(link).fragment).query)


def test_a_searchs_individuals_are_a_flat_list_with_charts() -> None:
    link = individuals_link("http://localhost:5000/", "1", "digits", PARAMS)
    assert link.startswith("http://localhost:5000/#/experiments/1/runs?workflowType=machine_learning")
    assert query(link)["compareRunsMode"] == ["CHART"]
    assert query(link)["searchFilter"] == ["tags.`medarts.kind`='individual' and tags.`medarts.search_id`='digits'"]


def test_compared_runs_are_named_with_all_their_experiments() -> None:
    link = compared_runs_link("http://localhost:5000/", ["1", "2"], ["a", "b"])
    assert link.startswith("http://localhost:5000/#/compare-runs?")
    assert query(link) == {"runs": ['["a", "b"]'], "experiments": ['["1", "2"]'], "workflowType": ["machine_learning"]}


def test_every_link_opens_the_pages_for_model_training() -> None:
    links = (
        individuals_link("http://host", "1", "digits", PARAMS),
        compared_runs_link("http://host", ["1"], ["a", "b"]),
        experiment_link("http://host", "1"),
    )
    assert all(query(link)["workflowType"] == ["machine_learning"] for link in links)


@pytest.mark.parametrize(
    ("name", "direction", "ascending"), [("derived_loss", "minimize", "true"), ("x", "maximize", "false")]
)
def test_a_searchs_individuals_stand_with_the_best_in_an_objective_first(
    name: str, direction: Any, ascending: str
) -> None:
    objective = ResolvedObjective(name=name, direction=direction)
    found = query(individuals_link("http://host", "1", "digits", objective))
    assert found["orderByKey"] == [f"metrics.`{name}`"] and found["orderByAsc"] == [ascending]
