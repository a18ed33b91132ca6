"""`medarts sync`: a job's journal into the stores."""

from __future__ import annotations

import click

from medarts_ops.cli import completion
from medarts_ops.cli.options import Places, json_option, places_options
from medarts_ops.cli.output import print_json, results_console
from medarts_ops.quantities import counted


@click.command(short_help="Bring a job's journal into the stores.")
@click.argument("name", shell_complete=completion.jobs_here)
@places_options("tracking_uri", "storage", "work_dir", "pictures")
@json_option
def command(places: Places, *, name: str, as_json: bool) -> None:
    """Compare MLflow and Optuna with the journal of a search, an evaluation or an experiment, and write what they lack;
    with an experiment, its trainings' too, with a search those of its evaluations in the work directory.

    For one whose store was away when it ended, or lost something: runs that were deleted are restored, an empty store
    is filled anew, with the times that the journal keeps. One that was cut off is brought as far as it came. Doing it
    twice changes nothing.

    \b
    Examples:
      medarts sync search-digits-20260101-120000-ab12
      medarts sync mine --tracking-uri http://localhost:5000
    """
    from medarts_ops.tracking.sync import sync_job

    synced = sync_job(
        places.work_dir,
        name,
        tracking_uri=places.tracking_uri,
        experiment=places.experiment,
        storage=places.storage,
        pictures=places.pictures,
    )
    if as_json:
        told = synced._asdict()
        print_json({f"{told.pop('kind')}_id": told.pop("name"), **told})
        return
    written = [counted(n, what.replace("_", " ").removesuffix("s")) for what, n in synced.written.items()]
    lacked = f"{', '.join(written)} written" if written else "nothing was missing"
    held = f"the stores hold all {counted(synced.events, 'event')}; {lacked}"
    console = results_console()
    console.print(f"{synced.kind} {synced.name} ({synced.state}): {held}")
    for lost in synced.lost:
        console.print(f"lost    {lost}: neither the store nor the work directory has it")
    console.print(f"run id  {synced.run_id}")
