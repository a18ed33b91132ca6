"""`medarts export`: an evaluated network as a file that others can use, or as a model that MLflow serves."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from medarts_ops.cli import completion
from medarts_ops.cli.options import Places, json_option, places_options
from medarts_ops.cli.output import command_line, print_facts, print_json, results_console
from medarts_ops.cli.visible import echo
from medarts_ops.export.names import FORMATS
from medarts_ops.visible import visible

if TYPE_CHECKING:
    from medarts_ops.tracking.reading.evaluated_network import FoundEvaluation
    from medarts_ops.tracking.reading.jobs import Job

MLFLOW = "mlflow"
"""The format that is no file of the user's."""

SERVING_PORT = 5001
"""Beside MLflow's pages, which take 5000."""


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
@places_options("tracking_uri", "work_dir")
@json_option
def command(places: Places, *, evaluation: str, chosen: str | None, output: Path | None, as_json: bool) -> None:
    """Write the network that an evaluation trained, by its name or the id of its run. A search, a stage or an
    individual stands for the newest finished evaluation of what it found.

    It takes images as floats in 0…255, [image, channel, height, width], and normalises them itself; it holds the
    class names and the resolution, too. It is read back and compared with the network before it counts. onnx and
    safetensors need: pip install 'medarts-ops[export]'. mlflow logs a model of the evaluation's run, which
    `mlflow models serve` answers from.

    \b
    Examples:
      medarts export evaluate-cifar10-20260101-120000-ab12
      medarts export 0123456789abcdef0123456789abcdef --format onnx
      medarts export mine --output birds.safetensors
      medarts export mine --format mlflow
    """
    if chosen != MLFLOW:
        _write_file(evaluation, chosen, output, places, as_json)
    elif output is None:
        _log_model(_found(evaluation, places).job, places, as_json)
    else:
        raise click.UsageError("--output goes with a file, and --format mlflow writes into the MLflow store: drop one")


def _found(evaluation: str, places: Places) -> FoundEvaluation:
    from medarts_ops.tracking.reading.evaluated_network import find_evaluation

    found = find_evaluation(
        evaluation, tracking_uri=places.tracking_uri, experiment=places.experiment, work_dir=places.work_dir
    )
    if found.taken_for is not None:
        whose = f"{found.taken_for.kind} {visible(found.taken_for.name)}"
        echo(f"exporting {found.job.name}, the newest finished evaluation of what {whose} found", err=True)
    return found


def _write_file(evaluation: str, chosen: str | None, output: Path | None, places: Places, as_json: bool) -> None:
    from medarts_ops.export.formats import export_network, format_of, require
    from medarts_ops.tracking.reading.evaluated_network import network_of

    format = format_of(Path(f"x.{chosen}") if chosen else output or Path("x.pt2"))
    require(format)
    job, taken_for = _found(evaluation, places)
    path = output or Path(f"{evaluation if taken_for is None else job.name}.{format}")
    written = export_network(network_of(job), path, format)
    if as_json:
        told = {"evaluation": job.name, "path": str(written.path), "format": written.format, "bytes": written.bytes}
        print_json({**told, "largest_difference": written.largest_difference})
        return
    trust = ["--trusted"] if written.format == "pt2" else []
    _print_written(
        [("file", f"{written.path}, {written.bytes / 2**20:,.1f} MiB")],
        written.largest_difference,
        f"{command_line('predict', str(written.path), *trust)} IMAGE…",
    )


def _log_model(job: Job, places: Places, as_json: bool) -> None:
    from medarts_ops.tracking.runs.logged_model import log_network
    from medarts_ops.tracking.stores.databases import without_password

    logged = log_network(job, tracking_uri=places.tracking_uri, experiment=places.experiment, work_dir=places.work_dir)
    store = without_password(logged.tracking_uri)
    if as_json:
        model = {"model_uri": logged.model_uri, "format": MLFLOW, "run_id": logged.run_id, "tracking_uri": store}
        print_json({"evaluation": job.name, **model, "largest_difference": logged.largest_difference})
        return
    serve = shlex.join(["mlflow", "models", "serve", "-m", logged.model_uri, "--env-manager", "local"])
    answers = f"http://127.0.0.1:{SERVING_PORT}/invocations"
    shape = "[image, channel, height, width], 0…255, of the resolution that it was trained on"
    _print_written(
        [("model", logged.model_uri), ("run id", logged.run_id)],
        logged.largest_difference,
        f"MLFLOW_TRACKING_URI={shlex.quote(store)} {serve} --port {SERVING_PORT}\n"
        f'and POST images to {answers} as JSON: {{"inputs": …}}, {shape};\n'
        "it answers with a logit for each class, in the order of the class names in the model's metadata",
    )


def _print_written(facts: list[tuple[str, str]], largest_difference: float, to_call_next: str) -> None:
    console = results_console()
    checked = f"its logits differ by at most {largest_difference:.1g} at batch 1, 2 and 7"
    print_facts(console, [*facts, ("checked", checked)])
    console.print(f"\nNext:\n  {to_call_next}")
