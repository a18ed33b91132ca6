"""The table of settings with their origins."""

from __future__ import annotations

from medarts_ops.configs.loader import Request, SettingRow, resolve_evaluate, resolve_search, resolved_table


def rows(request: Request) -> dict[str, SettingRow]:
    return {row.path: row for row in resolved_table(*resolve_search(request))}


def test_a_row_says_value_who_set_it_and_where_the_default_is_from() -> None:
    row = rows(Request("digits", sets=["alpha.lr=1e-3"]))["alpha.lr"]
    assert row == SettingRow("alpha.lr", 1e-3, "--set", "DARTS", "learning rate")


def test_stages_and_ranges_are_unfolded() -> None:
    table = rows(Request("digits"))
    assert table["stages.1.survivors"].value == 3
    assert table["proposals.space.alpha_lr.high"].value == 6e-3
    assert table["stages.0.cells"].changed_by == "preset digits"


def test_an_empty_group_is_a_row_of_its_own() -> None:
    row = rows(Request("random"))["proposals.space"]
    assert (row.value, row.changed_by, row.origin) == ({}, "preset random", "paper")


def test_every_setting_has_a_description_and_every_default_an_origin() -> None:
    table = rows(Request("cifar10")) | {row.path: row for row in resolved_table(*resolve_evaluate(Request("cifar10")))}
    assert all(row.description for row in table.values())
    without = [path for path, row in table.items() if row.origin not in ("paper", "DARTS", "ours")]
    assert all(path.startswith("proposals.space.") for path in without)


def test_a_path_of_the_table_can_be_set() -> None:
    for path, row in rows(Request("digits")).items():
        if path != "preset" and isinstance(row.value, int | float) and not isinstance(row.value, bool):
            assert rows(Request("digits", sets=[f"{path}={row.value}"]))[path].changed_by == "--set"
