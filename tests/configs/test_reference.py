"""The page of all settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from medarts_ops.configs.loader import Request, resolve_evaluate, resolve_search, resolved_table
from medarts_ops.configs.reference import settings_reference
from medarts_ops.objectives.registry import OBJECTIVES
from medarts_ops.space.search_space import OPERATIONS
from medarts_ops.strategies.registry import STRATEGIES

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def test_the_page_is_what_the_models_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == settings_reference(), "run `make docs`"


@pytest.mark.parametrize(("title", "resolve"), [("A search", resolve_search), ("An evaluation", resolve_evaluate)])
def test_every_setting_is_on_it_with_its_origin(title: str, resolve: object) -> None:
    assert callable(resolve)
    page = settings_reference().split(f"## {title}\n")[1].split("\n## ")[0]
    origins = {line.split(" | ")[0]: line.split(" | ")[-2] for line in page.splitlines() if line.startswith("| `")}
    for row in resolved_table(*resolve(Request("cifar10"))):
        path = ".".join("N" if part.isdigit() else part for part in row.path.split("."))
        if not path.startswith("proposals.space."):  # a mapping, empty by default
            assert origins[f"| `{path}`"] == (row.origin or "-")


def test_every_objective_is_on_it_with_its_natural_direction() -> None:
    page = settings_reference().split("## Objectives\n")[1]
    for name, data in OBJECTIVES.built_in.items():
        assert f"| `{name}` | {data.direction} | {data.description} |" in page.splitlines()


def test_every_strategy_and_every_operation_is_on_it() -> None:
    page = settings_reference()
    strategies, operations = page.split("## Strategies\n")[1].split("## Operations\n")
    assert all(f"| `{name}` | " in strategies for name in STRATEGIES.built_in)
    assert [f"| `{name}` | " in operations for name in OPERATIONS] == [True] * len(OPERATIONS)


def test_bounds_and_a_groups_own_defaults_are_said() -> None:
    lines = settings_reference().splitlines()
    assert any(line.startswith("| `weights.momentum` | 0.9 | number ≥ 0") for line in lines)
    assert [line.split(" | ")[1] for line in lines if line.startswith("| `weights.lr_min`")] == ["0.001", "0.0"]
