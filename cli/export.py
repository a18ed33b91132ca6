"""`medarts export`: an evaluated network as a file that others can use, or as a model that MLflow serves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from medarts_ops.cli import completion
from medarts_ops.cli.options import Places, json_option, places_options
from medarts_ops.cli.output import command_line, print_facts, print_json, results_console
from medarts_ops.cli.registering import (
    SERVING_PORT,
    check_registry,
    print_registered,
    registered,
    registered_json,
    serving,
)
from medarts_ops.cli.visible import echo
from medarts_ops.export.names import FORMATS
from medarts_ops.quantities import byte_size
from medarts_ops.visible import visible

if TYPE_CHECKING:
    from medarts_ops.export.network import TrainedNetwork
    from medarts_ops.tracking.reading.evaluated_network import FoundEvaluation
    from medarts_ops.tracking.reading.jobs import Job

MLFLOW = "mlflow"
"""The format that is no file of the user's."""

_ANSWERS = f"http://127.0.0.1:{SERVING_PORT}/invocations"

ASKING = (
    f'and POST images to {_ANSWERS} as JSON: {{"inputs": …}}, [image, channel, height, width], 0…255, of the '
    "resolution that it was trained on;\n"
    "it answers with a logit for each class, in the order of the class names in the model's metadata\n"
    "(--any-size logs a model that takes photos, and answers with classes and probabilities)"
)
ASKING_WITH_PHOTOS = (
    'python -c \'import base64, json, sys; print(json.dumps({"dataframe_split": {"columns": ["image"], "data": '
    '[[base64.b64encode(open(file, "rb").read()).decode()] for file in sys.argv[1:]]}}))\' IMAGE… \\\n'
    f"    | curl -H 'Content-Type: application/json' -d @- {_ANSWERS}"
)


@click.command(short_help="Write an evaluated network as a file or an MLflow model.")
@click.argument("evaluation", metavar="RUN_ID|NAME", shell_complete=completion.runs)
@click.option(
    "--format",
    "chosen",
    type=click.Choice((*FORMATS, MLFLOW)),
    help="Format of the file, or mlflow for a model in the MLflow store.  [default: --output's ending, or pt2]",
)
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="The file.  [default: ./<evaluation>.<format>]"
)
@click.option(
    "--any-size",
    is_flag=True,
    help="Take images of any size, and say probabilities, too; of mlflow: take photos as files in base64.",
)
@click.option(
    "--register",
    metavar="NAME",
    help="Make the newest logged model, or the one that --format mlflow logs now, a version of NAME in MLflow's "
    "registry.",
)
@click.option("--alias", metavar="ALIAS", help="Let this alias of NAME point at the version, champion for one.")
@places_options("tracking_uri", "work_dir")
@json_option
def command(
    places: Places,
    *,
    evaluation: str,
    chosen: str | None,
    output: Path | None,
    any_size: bool,
    register: str | None,
    alias: str | None,
    as_json: bool,
) -> None:
    """Write the network that an evaluation trained, by its name or the id of its run. A search, a stage or an
    individual stands for the newest finished evaluation of what it found.

    It takes images as floats in 0…255, [image, channel, height, width], of the size that it was trained on, or with
    --any-size of any, and normalises them itself; it holds the class names and the resolution, too. It is read back and
    compared with the network before it counts. onnx and safetensors need: pip install 'medarts-ops[export]'. mlflow
    logs a model of the evaluation's run, which `mlflow models serve` answers from.

    \b
    Examples:
      medarts export evaluate-cifar10-20260101-120000-ab12
      medarts export 0123456789abcdef0123456789abcdef --format onnx
      medarts export mine --output birds.safetensors
      medarts export mine --output birds.onnx --any-size
      medarts export mine --format mlflow --any-size --register birds --alias champion
    """
    _check_options(chosen, output, any_size, register, alias)
    if chosen != MLFLOW and register is None:
        _write_file(evaluation, chosen, output, places, any_size, as_json)
        return
    job = _found(evaluation, places).job
    version = None if register is None else (register, alias)
    if version is not None:
        check_registry(job, *version)
    if chosen == MLFLOW:
        _log_model(job, places, any_size, version, as_json)
    elif register is not None:
        made = registered(job, register, alias, None)
        if as_json:
            print_json({"evaluation": job.name, **registered_json(made)})
        else:
            print_registered(made, job.opened_store().uri)


def _check_options(
    chosen: str | None, output: Path | None, any_size: bool, register: str | None, alias: str | None
) -> None:
    if chosen == MLFLOW and output is not None:
        raise click.UsageError("--output goes with a file, and --format mlflow writes into the MLflow store: drop one")
    if alias is not None and register is None:
        raise click.UsageError("--alias is of a name in MLflow's registry: give it by --register NAME")
    if register is not None and (output is not None or chosen not in (None, MLFLOW)):
        raise click.UsageError("--register goes with a model in the MLflow store, not with a file: give one of them")
    if register is not None and any_size and chosen is None:
        raise click.UsageError(
            "--any-size is of a model that is logged now: give --format mlflow, too, or leave it out"
        )


def _found(evaluation: str, places: Places) -> FoundEvaluation:
    from medarts_ops.tracking.reading.evaluated_network import find_evaluation

    found = find_evaluation(
        evaluation, tracking_uri=places.tracking_uri, experiment=places.experiment, work_dir=places.work_dir
    )
    if found.taken_for is not None:
        whose = f"{found.taken_for.kind} {visible(found.taken_for.name)}"
        echo(f"exporting {found.job.name}, the newest finished evaluation of what {whose} found", err=True)
    return found


def _write_file(
    evaluation: str, chosen: str | None, output: Path | None, places: Places, any_size: bool, as_json: bool
) -> None:
    from medarts_ops.export.formats import export_network, format_of, require
    from medarts_ops.tracking.reading.evaluated_network import network_of

    format = format_of(Path(f"x.{chosen}") if chosen else output or Path("x.pt2"))
    require(format)
    job, taken_for = _found(evaluation, places)
    path = output or Path(f"{evaluation if taken_for is None else job.name}.{format}")
    network = network_of(job)
    written = export_network(network, path, format, any_size=any_size)
    if as_json:
        told = {"evaluation": job.name, "path": str(written.path), "format": written.format, "bytes": written.bytes}
        of_resized = {"largest_difference_of_resized": written.largest_difference_of_resized} if any_size else {}
        print_json({**told, "largest_difference": written.largest_difference, **of_resized})
        return
    trust = ["--trusted"] if written.format == "pt2" else []
    facts = [("file", f"{written.path}, {byte_size(written.bytes)}"), ("takes", _taken(network, any_size))]
    checked = f"its logits differ by at most {written.largest_difference:.1g} at batch 1, 2 and 7"
    if written.largest_difference_of_resized is not None:
        checked += f", its probabilities of images of other sizes by {written.largest_difference_of_resized:.1g}"
    _print_written([*facts, ("checked", checked)], f"{command_line('predict', str(written.path), *trust)} IMAGE…")


def _taken(network: TrainedNetwork, any_size: bool) -> str:
    description = network.description
    height, width = description.resolution
    sides = "height, width" if any_size else f"{height}, {width}"
    return f"images as [image, {description.in_channels}, {sides}], float32 in 0…255"


def _log_model(job: Job, places: Places, any_size: bool, version: tuple[str, str | None] | None, as_json: bool) -> None:
    from medarts_ops.tracking.runs.logged_model import log_network
    from medarts_ops.tracking.stores.databases import without_password

    logged = log_network(
        job,
        tracking_uri=places.tracking_uri,
        experiment=places.experiment,
        work_dir=places.work_dir,
        any_size=any_size,
    )
    made = None if version is None else registered(job, *version, logged.model_id)
    store = without_password(logged.tracking_uri)
    if as_json:
        model = {"model_uri": logged.model_uri, "format": MLFLOW, "run_id": logged.run_id, "tracking_uri": store}
        of_version = {} if made is None else registered_json(made)
        print_json({"evaluation": job.name, **model, "largest_difference": logged.largest_difference, **of_version})
        return
    what = "probabilities" if any_size else "logits"
    checked = f"its {what} differ by at most {logged.largest_difference:.1g} at batch 1, 2 and 7"
    _print_written(
        [("model", logged.model_uri), ("run id", logged.run_id), ("checked", checked)],
        f"{serving(logged.model_uri, store)}\n  {ASKING_WITH_PHOTOS if any_size else ASKING}",
    )
    if made is not None:
        results_console().print()
        print_registered(made, logged.tracking_uri)


def _print_written(facts: list[tuple[str, str]], to_call_next: str) -> None:
    console = results_console()
    print_facts(console, facts)
    console.print(f"\nNext:\n  {to_call_next}")
