"""What the shell offers for a word that is being typed: runs, presets, datasets, settings, genotypes.

A key was pressed: whatever goes wrong offers nothing, and nothing heavy is imported.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from medarts_ops.errors import MedartsError

if TYPE_CHECKING:
    from medarts_ops.cli.options import Places  # which offers what is here

SQLITE = "sqlite:///"


def runs(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Jobs in the work directory and in a local store; of a search, after a slash, its stages and individuals."""
    from medarts_ops.cli.options import places_of

    places = places_of(ctx)
    return list(dict.fromkeys([*_in_store(places, incomplete), *_in_folder(places.work_dir, incomplete)]))


def jobs_here(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Jobs in the work directory."""
    from medarts_ops.cli.options import places_of

    return list(_in_folder(places_of(ctx).work_dir, incomplete))


def presets(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """The presets that ship."""
    from medarts_ops.configs.presets import preset_names

    return _beginning(preset_names(), incomplete)


def datasets(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """The datasets that have a preset."""
    from medarts_ops.configs.presets import dataset_names

    return _beginning(dataset_names(), incomplete)


def genotype_names(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """The published genotypes."""
    from medarts_ops.space.zoo import zoo

    return _beginning(zoo(), incomplete)


def genotypes(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The published genotypes, and files."""
    names = genotype_names(ctx, parameter, incomplete)
    return [*map(CompletionItem, names), CompletionItem(incomplete, type="file")]


def settings(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Dotted paths of the verb's settings, with the `=` behind them: those of its preset, so that stages are there."""
    from medarts_ops.cli.options import asked_preset
    from medarts_ops.config_writing import settings_of
    from medarts_ops.configs.loader import load_evaluate_config, load_search_config

    load = load_evaluate_config if "evaluate" in (ctx.info_name, ctx.params.get("section")) else load_search_config
    with suppress(MedartsError):
        return _beginning((f"{setting.path}=" for setting in settings_of(load(asked_preset(ctx)))), incomplete)
    return []


def _in_store(places: Places, incomplete: str) -> list[str]:
    from medarts_ops.tracking.stores.known_names import known_names

    uri = places.tracking_uri or f"{SQLITE}mlflow.db"
    if not uri.startswith(SQLITE):
        return []  # a server's answer takes longer than anybody waits for a completion
    with suppress(sqlite3.Error, OSError, ValueError):
        return known_names(Path(uri.removeprefix(SQLITE).partition("?")[0]), incomplete)
    return []


def _in_folder(work_dir: Path, incomplete: str) -> Iterator[str]:
    from medarts_ops.journal.journal import JOURNAL_NAME

    with suppress(OSError):
        journals = sorted(work_dir.glob(f"*/{JOURNAL_NAME}"))
        yield from _beginning((path.parent.name for path in journals), incomplete)


def _beginning(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
