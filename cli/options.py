"""Options that several verbs share, and the settings that they stand for."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial, reduce
from pathlib import Path
from typing import Any, Literal, TypeVar

import click
from click.core import ParameterSource
from click.decorators import pass_meta_key

from medarts_ops.cli import completion
from medarts_ops.configs.layers import deep_merge, nested
from medarts_ops.configs.loader import DATA_VARIABLE, Request

Decorated = TypeVar("Decorated", bound=Callable[..., Any])
Command = Callable[..., None]
Place = Literal["tracking_uri", "experiment", "storage", "work_dir", "pictures", "system_metrics"]

SETTINGS = {
    "dataset": "dataset.name",
    "seed": "seed",
    **{name: f"dataset.{name}" for name in ("data", "resolution", "cache")},
    **{name: f"runtime.{name}" for name in ("device", "amp", "deterministic", "workers", "stack", "cuda_graphs")},
    **{name: f"runtime.{name}" for name in ("devices", "checkpoint_cells", "compile", "executor", "budget")},
    "fit": "runtime.memory",
    "ray_address": "runtime.ray.address",
}
"""Which setting a named option is short for."""

_NOTED = "medarts_ops.cli.options"


def _note(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
    if parameter.name in ("data", "cache") and value:
        # An evaluation reads the paths from the stored search config, maybe from another folder.
        value = str(Path(os.path.expanduser(value)).absolute())
    ctx.meta.setdefault(_NOTED, {})[parameter.name] = value


def giving(*options: Callable[[Any], Any]) -> Callable[[Decorated], Decorated]:
    """Gives a command these options, in this order."""
    return lambda command: reduce(lambda given, option: option(given), reversed(options), command)


noted_option = partial(click.option, expose_value=False, callback=_note)

_RESOLUTION_OPTION = noted_option(
    "--resolution",
    type=int,
    help="Resize all images to this side, in pixels. Needed where sizes are mixed or above 64.",
)

_SEED_OPTION = noted_option("--seed", type=int, help="The one number that all randomness comes from.  [default: 0]")

_CONFIG_OPTIONS = (
    noted_option(
        "--dataset",
        metavar="NAME",
        shell_complete=completion.datasets,
        help="digits, cifar10, cifar100, folder or npz. Takes the preset of that name unless --preset is given.",
    ),
    noted_option(
        "--data",
        metavar="PATH",
        envvar=DATA_VARIABLE,
        show_envvar=True,
        help="Folder or .npz file with the images; downloads go there, too. digits needs none.",
    ),
    _RESOLUTION_OPTION,
    noted_option(
        "--cache",
        metavar="DIR",
        help="Keep images of class folders here, decoded and resized: the next job reads the same ones faster.",
    ),
    noted_option(
        "--preset",
        metavar="NAME",
        shell_complete=completion.presets,
        help="Settings to start from: digits, cifar10, cifar10-paper, cifar100, folder, imagenet, npz; a published "
        "system alone: darts, sdarts-rs, pc-darts, p-darts, dr-nas, fair-darts, asap, snas, gdas, proxyless; or a "
        "baseline: random, evolution.",
    ),
    noted_option(
        "--config",
        "config_file",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="YAML over the preset: sections search: and evaluate:, and extends: PRESET.",
    ),
    noted_option(
        "--set",
        "sets",
        metavar="KEY=VALUE",
        multiple=True,
        shell_complete=completion.settings,
        help="One setting by its dotted path, such as stages.0.epochs=2. Repeatable; beats all others.",
    ),
    _SEED_OPTION,
    noted_option(
        "--device",
        metavar="NAME",
        help="auto, cpu, cuda, cuda:N or several: cuda:0,cuda:2.  [default: auto, GPUs if there are any]",
    ),
    noted_option(
        "--amp", metavar="MODE", help="Mixed precision: auto, off, fp16 or bf16.  [default: auto, by the device]"
    ),
    noted_option(
        "--deterministic",
        is_flag=True,
        default=None,
        help="Same bits each time on the same GPU, too; slower. A CPU gives them anyway, for equal threads.",
    ),
    noted_option(
        "--cuda-graphs",
        metavar="MODE",
        help="Replay the training step as a CUDA graph: auto, on or off.  [default: auto, on with one CUDA device]",
    ),
    noted_option(
        "--executor",
        metavar="NAME",
        help="Where is trained: local, processes or ray.  [default: auto, in as many processes here as workers]",
    ),
    noted_option(
        "--ray-address",
        metavar="ADDRESS",
        help="A cluster of Ray: auto, HOST:PORT or ray://HOST:PORT.  [default: --executor ray starts one here]",
    ),
    noted_option(
        "--fit",
        is_flag=True,
        flag_value="fit",
        default=None,
        help="Take smaller batches where the memory that is free asks for it, instead of refusing to start.",
    ),
)

budget_option = noted_option(
    "--budget",
    metavar="TIME",
    help="Be done within it, such as 90s, 45m, 2h, 1h30m or 2d: the plan is made smaller until it fits, and epochs end "
    "early where steps are slower than timed.",
)
"""For a job that may be told how long it may take."""

config_options = giving(*_CONFIG_OPTIONS)
"""Gives a command all options that shape its config; `config_request` reads them."""

made_up_images_options = giving(*(option for option in _CONFIG_OPTIONS if option is not _RESOLUTION_OPTION))
"""As `config_options` but for --resolution, which a command that makes up its images asks for by itself."""

several_seeds_options = giving(*(option for option in _CONFIG_OPTIONS if option is not _SEED_OPTION))
"""As `config_options` but for --seed: an experiment has several, by an option of its own."""

search_options = giving(
    noted_option(
        "--workers",
        metavar="N",
        help="Processes that train individuals side by side, or auto.  [default: auto, what finishes first]",
    ),
    noted_option(
        "--stack",
        metavar="N",
        help="Individuals trained as one network, or auto.  [default: auto, 1 on a CPU, what fits on a GPU]",
    ),
)
"""Options that only a search has, beside those that shape any config."""

_PLACES = "medarts_ops.cli.options.places"


@dataclass(frozen=True)
class Places:
    """Where a command's runs, studies and folders are, and what is logged there beside the job itself.

    `tracking_uri` and `storage` are None for those of the current folder, `experiment` is for all that the store has,
    and for our own where something new is made. `given` are the fields that the command line
    names: a following command has to, too; the environment's are found again.
    """

    tracking_uri: str | None = None
    experiment: str | None = None
    storage: str | None = None
    work_dir: Path = Path("medarts-work")
    pictures: bool = True
    system_metrics: bool = False
    given: frozenset[str] = frozenset()

    @property
    def named_store(self) -> str | None:
        """The store, if a following command has to name it, as it may be shown."""
        return self.shown("tracking_uri") if "tracking_uri" in self.given else None

    def shown(self, field: str) -> str:
        """A place as it may be shown, without a password."""
        from medarts_ops.tracking.stores.databases import without_password

        return without_password(str(getattr(self, field)))


def _place(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
    name = str(parameter.name)
    places: Places = ctx.meta.get(_PLACES, Places())
    given = {name} if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE else set()
    ctx.meta[_PLACES] = replace(places, **{name: value}, given=places.given | given)


def places_of(ctx: click.Context) -> Places:
    """What the places of a command that is being typed come to so far."""
    places: Places = ctx.meta.get(_PLACES, Places())
    return places


_place_option = partial(click.option, expose_value=False, callback=_place)

_PLACE_OPTIONS = {
    "tracking_uri": _place_option(
        "--tracking-uri",
        metavar="URI",
        envvar=["MEDARTS_TRACKING_URI", "MLFLOW_TRACKING_URI"],
        show_envvar=True,
        help="MLflow store: sqlite:///file, postgresql://… or http(s)://…  [default: ./mlflow.db]",
    ),
    "experiment": _place_option(
        "--experiment",
        metavar="NAME|ID",
        envvar=["MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID"],
        show_envvar=True,
        help="MLflow experiment of the runs; a new job makes it.  [default: medarts for new jobs, all to look in]",
    ),
    "storage": _place_option(
        "--storage",
        metavar="URL",
        envvar="OPTUNA_STORAGE",
        show_envvar=True,
        help="Optuna storage: sqlite:///file, postgresql://… or journal:file  [default: ./optuna.db]",
    ),
    "work_dir": _place_option(
        "--work-dir",
        metavar="DIR",
        type=click.Path(file_okay=False, path_type=Path),
        default=Places.work_dir,
        show_default=True,
        help="Where searches and evaluations keep their journals and checkpoints.",
    ),
    "pictures": _place_option(
        "--pictures/--no-pictures",
        default=Places.pictures,
        show_default=True,
        envvar="MEDARTS_PICTURES",
        show_envvar=True,
        help="Log pictures and the report with the runs; a second or two for each individual.",
    ),
    "system_metrics": _place_option(
        "--system-metrics",
        is_flag=True,
        default=Places.system_metrics,
        envvar=["MEDARTS_SYSTEM_METRICS", "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING"],
        show_envvar=True,
        help="Log how busy processor, memory, disk, network and GPU are while the job runs, every ten seconds.",
    ),
}


def places_options(*names: Place) -> Callable[[Command], Command]:
    """Gives a command these options, and what they come to as its first argument, a `Places`.

    Whoever opens a tracking store is asked for an experiment, too.
    """
    wanted = {*names, "experiment"} if "tracking_uri" in names else {*names}
    give = giving(*(option for name, option in _PLACE_OPTIONS.items() if name in wanted))
    return lambda command: give(pass_meta_key(_PLACES)(command))


csv_option = click.option("--csv", "as_csv", is_flag=True, help="Print a table for other programs as CSV on stdout.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on stdout.")


def asked_preset(ctx: click.Context) -> str | None:
    """The preset of a command that is being typed, as far as it is: by its own name, or by that of the dataset."""
    noted: Mapping[str, Any] = ctx.meta.get(_NOTED, {})
    asked: str | None = noted.get("preset") or noted.get("dataset")
    return asked


def config_request(ctx: click.Context) -> Request:
    """What the options of a command that `config_options` or its like decorates ask for."""
    noted: Mapping[str, Any] = ctx.meta[_NOTED]
    options: dict[str, Any] = {}
    data_folder: str | None = None
    for name, path in SETTINGS.items():
        value = noted.get(name)  # not every command has every option
        if ctx.get_parameter_source(name) is ParameterSource.ENVIRONMENT:
            data_folder = value  # --data is the one of them that reads a variable
        elif value is not None:
            options = deep_merge(options, nested(path, value))
    return Request(
        noted["preset"], config_file=noted["config_file"], options=options, sets=noted["sets"], data_folder=data_folder
    )


def check_one_format(as_csv: bool, as_json: bool) -> None:
    """Refuse to print two formats at once."""
    if as_csv and as_json:
        raise click.UsageError("--csv and --json exclude each other: give one of them")
