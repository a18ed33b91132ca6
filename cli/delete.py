"""`medarts delete`: a search, an evaluation or an experiment, with all that belongs to it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medarts_ops.cli import completion
from medarts_ops.cli.options import Places, json_option, places_options
from medarts_ops.cli.output import print_json, results_console
from medarts_ops.cli.visible import echo
from medarts_ops.quantities import byte_size, counted
from medarts_ops.visible import visible

if TYPE_CHECKING:
    from medarts_ops.tracking.deletion import Deleted, Deletion


@click.command(short_help="Delete a job with all that belongs to it.")
@click.argument("run_id", shell_complete=completion.runs)
@click.option("--yes", is_flag=True, help="Do not ask; needed where there is no terminal.")
@click.option("--keep-work-dir", is_flag=True, help="Leave the job's folder in the work directory.")
@places_options("tracking_uri", "storage", "work_dir")
@json_option
@click.pass_context
def command(ctx: click.Context, places: Places, *, run_id: str, yes: bool, keep_work_dir: bool, as_json: bool) -> None:
    """Delete a search, an evaluation or an experiment: its runs and artifacts, its folder in the work directory, its
    Optuna studies.

    With a search go its stages, individuals and evaluations; a proposals study that it shares with others stays. With
    an experiment go its trainings, but for those that it took over from before. RUN_ID may be a name. What goes is
    listed, and asked for. A job that is at work is refused.

    A deletion that was cut off is completed by calling it again. Artifacts that a server keeps are freed by the
    `mlflow gc` of whoever runs it.

    \b
    Examples:
      medarts delete search-digits-20260101-120000-ab12
      medarts delete 0123456789abcdef0123456789abcdef --keep-work-dir
      medarts delete mine --yes --work-dir /data/medarts-work
    """
    from medarts_ops.tracking.deletion import deletion_of

    if not yes and not _somebody_is_there():
        raise click.UsageError("without a terminal nobody can be asked: --yes deletes without asking")
    with deletion_of(
        run_id,
        tracking_uri=places.tracking_uri,
        experiment=places.experiment,
        storage=places.storage,
        work_dir=places.work_dir,
        keep_work_dir=keep_work_dir,
    ) as planned:
        _warn(planned, places.work_dir)
        if not yes and not _is_wanted(planned):
            echo("nothing was deleted", err=True)
            ctx.exit(1)
        deleted = planned.carry_out()
    if as_json:
        print_json(_deleted_json(planned, deleted))
    else:
        _print_deleted(planned, deleted)


def _somebody_is_there() -> bool:
    return sys.stdin.isatty()


def _warn(planned: Deletion, work_dir: Path) -> None:
    for name in planned.away:
        echo(
            f"warning: {name!r} is marked as running and has no folder in {str(work_dir)!r} that could tell whether "
            "it is: if it is at work elsewhere, end it first",
            err=True,
        )
    if planned.twins:
        echo(
            f"warning: {', '.join(planned.twins)} has the same search name: studies and folder of that name stay",
            err=True,
        )


def _is_wanted(planned: Deletion) -> bool:
    run = planned.run
    echo(f"Of {run.kind} {visible(run.name)} ({run.run_id}) go for good:\n{_what_goes(planned)}", err=True)
    return click.confirm("Delete all that?", err=True)


def _what_goes(planned: Deletion) -> str:
    runs = [counted(count, kind) for kind, count in planned.counts.items()]
    lines = [f"{counted(len(planned.runs), 'run')} with artifacts: {', '.join(runs)}"]
    lines += [f"study {visible(name)}" for name in planned.studies]
    lines += [f"folder {folder}" for folder in planned.folders]
    if planned.folders:
        lines.append(f"{byte_size(planned.folder_bytes)} in {counted(len(planned.folders), 'folder')}")
    return "\n".join(f"  {line}" for line in lines)


def _print_deleted(planned: Deletion, deleted: Deleted) -> None:
    console, run = results_console(), planned.run
    console.print(f"deleted {run.kind} {visible(run.name)} ({run.run_id}):\n{_what_goes(planned)}")
    if deleted.artifacts_left:
        console.print(
            f"The artifacts of {counted(len(deleted.artifacts_left), 'run')} are not in a folder of this store: "
            "`mlflow gc`, called where they are kept, frees them"
        )


def _deleted_json(planned: Deletion, deleted: Deleted) -> dict[str, Any]:
    run = {key: getattr(planned.run, key) for key in ("run_id", "name", "kind")}
    return {**run, "runs": dict(planned.counts), "folder_bytes": planned.folder_bytes, **deleted._asdict()}
