"""`medarts data`: what images there are, what is wrong with them, and what to search them with."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from medarts_ops.cli.loading import progress_board, say_what_is_read
from medarts_ops.cli.options import json_option
from medarts_ops.cli.output import command_line, print_json, results_console
from medarts_ops.configs.loader import DATA_VARIABLE, Request, resolve_search
from medarts_ops.errors import DataError

if TYPE_CHECKING:
    from medarts_ops.config import DatasetConfig
    from medarts_ops.data.advice import Advice
    from medarts_ops.data.survey import Survey


@click.command(short_help="Look at images before a search.")
@click.argument("images", metavar="PATH|NAME")
@click.option(
    "--data",
    metavar="DIR",
    envvar=DATA_VARIABLE,
    show_envvar=True,
    help="Where the files of a dataset with a name are, such as cifar10's.",
)
@json_option
@click.pass_context
def command(ctx: click.Context, *, images: str, data: str | None, as_json: bool) -> None:
    """Look at images before a search: what there is, what is wrong with it, and what to search it with.

    PATH is a folder of class folders (with or without train/, val/ and test/ above them) or an .npz file, NAME digits,
    cifar10 or cifar100. Every image is decoded, so that broken ones are named here and copies are found. It ends
    with the search to copy. Exit code 1 says that a search would refuse the images, and what to mend.

    \b
    Examples:
      medarts data photos
      medarts data birds.npz
      medarts data photos --json > photos.json
    """
    from medarts_ops.data.advice import advise, hindrances, problems

    is_given = ctx.get_parameter_source("data") is ParameterSource.COMMANDLINE
    config = resolve_search(_request(images, data if is_given else None, None if is_given else data)).config
    say_what_is_read(config.dataset)
    survey = _survey(config.dataset)
    advice = advise(survey, config)
    to_mend = problems(survey, config)
    search = None if advice is None or hindrances(survey, config) else search_words(config.dataset, advice)
    if as_json:
        print_json(
            {
                "survey": asdict(survey),
                "problems": to_mend,
                "advice": None if advice is None else asdict(advice),
                "command": None if search is None else command_line(*search),
            }
        )
    else:
        from medarts_ops.cli.data_tables import print_advice, print_survey

        console = results_console()
        print_survey(console, survey, to_mend)
        if advice is not None:
            print_advice(console, advice, search)
    if to_mend:
        more = f" ({len(to_mend)} problems, this is the first)" if len(to_mend) > 1 else ""
        yet = "can't be searched yet" if search is None else "are refused by any search but the one under Next"
        raise DataError(f"these images {yet}{more}: {to_mend[0]}")


def search_words(dataset: DatasetConfig, advice: Advice) -> Sequence[str]:
    """The words of the search that is advised, after `medarts`."""
    settings = dict(advice.settings)
    words = ["search", "--dataset", dataset.name]
    words += [] if dataset.data is None else ["--data", dataset.data]
    if "dataset.resolution" in settings:
        words += ["--resolution", str(settings.pop("dataset.resolution"))]
    for path, value in settings.items():
        words += ["--set", f"{path}={str(value).lower() if isinstance(value, bool) else value}"]
    return words


def _request(images: str, data: str | None, data_folder: str | None) -> Request:
    """Asks for the preset of a folder, a file or a dataset's name; a folder or file of that name goes before it."""
    path = os.path.expanduser(images)
    if os.path.isdir(path) or os.path.isfile(path):
        if data is not None:
            raise click.UsageError(f"--data is for a dataset with a name, and {images!r} is there: give one of the two")
        return Request(options={"dataset": {"name": "folder" if os.path.isdir(path) else "npz", "data": images}})
    from medarts_ops.data.registry import DATASETS

    names = [name for name in DATASETS.names() if name not in ("folder", "npz")]
    if images not in names:
        raise DataError(
            f"{images!r} is no folder and no file: allowed are a folder of class folders, an .npz file, or one of "
            f"{', '.join(names)}"
        )
    place = {} if data is None else {"data": data}
    return Request(options={"dataset": {"name": images, **place}}, data_folder=data_folder)


def _survey(config: DatasetConfig) -> Survey:
    if config.name != "folder":
        from medarts_ops.data.survey_arrays import survey_arrays

        return survey_arrays(config)
    from medarts_ops.data.survey_folder import survey_folder

    with progress_board():
        return survey_folder(str(config.data), config)
