"""Links into MLflow's pages; tests/browser opens them."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from medarts_ops.config import ResolvedObjective
from medarts_ops.tracking.reading.links import compared_runs_link, comparison_link, individuals_link, run_link


def query(link: str) -> dict[str, list[str]]:
    """The parameters behind the `#` of a link."""
    return parse_qs(urlsplit(urlsplit(link).fragment).query)


def test_the_comparison_is_of_one_searchs_individuals_sorted_by_a_metric() -> None:
    link = comparison_link("http://localhost:5000", "1", search_id="digits", metric="params")
    assert query(link)["orderByKey"] == ["metrics.`params`"] and query(link)["orderByAsc"] == ["false"]
    assert query(link)["searchFilter"] == ["tags.`medarts.kind`='individual' and tags.`medarts.search_id`='digits'"]


def test_compared_runs_are_named_with_all_their_experiments() -> None:
    link = compared_runs_link("http://localhost:5000/", ["1", "2"], ["a", "b"])
    assert link.startswith("http://localhost:5000/#/compare-runs?")
    assert query(link) == {"runs": ['["a", "b"]'], "experiments": ['["1", "2"]'], "workflowType": ["machine_learning"]}


def test_every_link_opens_the_pages_for_model_training() -> None:
    links = (
        comparison_link("http://host", "1"),
        compared_runs_link("http://host", ["1"], ["a", "b"]),
        run_link("http://host", "1", "a"),
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
