"""`medarts config`: the settings in force with their origins, and their schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from medarts_ops.cli.options import config_options, config_request, json_option
from medarts_ops.cli.output import print_json, print_table, results_console, table
from medarts_ops.config import EvaluateConfig, SearchConfig
from medarts_ops.config_writing import settings_file, shown
from medarts_ops.configs.loader import Resolved, SettingRow, resolve_evaluate, resolve_search, resolved_table
from medarts_ops.settings import Settings

DESCRIBED_FROM = 130
"""Columns from which the table has room for descriptions."""


MODELS: Mapping[str, type[Settings]] = {"search": SearchConfig, "evaluate": EvaluateConfig}

section_argument = click.argument("section", type=click.Choice(tuple(MODELS)), default="search")


@click.group()
def command() -> None:
    """Print the settings of a search or an evaluation, or their JSON schema."""


@command.command()
@section_argument
@config_options
@json_option
@click.option("--yaml", "as_yaml", is_flag=True, help="Print a file that --config takes.")
@click.pass_context
def show(ctx: click.Context, *, section: str, as_json: bool, as_yaml: bool) -> None:
    """Print every setting that these options give: value, who set it, and the origin of its default.

    Origins are paper (ME-DARTS), DARTS (the original that the paper follows), publication (a strategy's) and ours (a
    gap that we filled).

    \b
    Examples:
      medarts config show
      medarts config show --preset cifar10 --set alpha.lr=1e-3
      medarts config show evaluate --dataset cifar10 --json
      medarts config show --preset cifar10 --yaml > mine.yaml
    """
    if as_json and as_yaml:
        raise click.UsageError("--json and --yaml exclude each other: give one")
    request = config_request(ctx)
    resolved: Resolved[Any] = resolve_search(request) if section == "search" else resolve_evaluate(request)
    if as_yaml:
        click.echo(settings_file(resolved.config), nl=False)
    elif as_json:
        print_json([row._asdict() for row in resolved_table(*resolved)])
    else:
        _print_settings(resolved_table(*resolved))


@command.command()
@section_argument
def schema(*, section: str) -> None:
    """Print the JSON schema of a search's or an evaluation's settings.

    \b
    Examples:
      medarts config schema
      medarts config schema evaluate
    """
    print_json(MODELS[section].model_json_schema())


def _print_settings(rows: list[SettingRow]) -> None:
    console = results_console()
    columns = ["setting", "value", "set by", "default from"]
    columns += ["what it is"] if console.width >= DESCRIBED_FROM else []
    settings = table(*columns, folding=["value", "what it is"])
    for row in rows:
        cells = (row.path, shown(row.value), row.changed_by, row.origin or "-", row.description)
        settings.add_row(*cells[: len(columns)])
    print_table(console, settings)
