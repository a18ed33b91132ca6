"""`medarts report`: a search or an experiment as one page of HTML."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from medarts_ops.cli import completion
from medarts_ops.cli.options import Places, json_option, places_options
from medarts_ops.cli.output import print_json
from medarts_ops.cli.visible import echo
from medarts_ops.errors import ExportError, os_errors_as

if TYPE_CHECKING:
    from medarts_ops.tracking.stores.run_store import RunStore
    from medarts_ops.tracking.vocabulary import JobKind


@click.command(short_help="A search or an experiment as one page of HTML.")
@click.argument("given", metavar="RUN_ID|NAME", shell_complete=completion.runs)
@click.option(
    "--output",
    "-o",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where the page is written; a file that is there is replaced.  [default: <name>.html]",
)
@click.option("--open", "opens", is_flag=True, help="Show the page in the browser.")
@places_options("tracking_uri", "work_dir")
@json_option
def command(places: Places, *, given: str, output: Path | None, opens: bool, as_json: bool) -> None:
    """Write the report of a search: what was run, each stage's front, who comes from whom, the cells that were found,
    the cost, evaluations, and how to reproduce it. Or that of an experiment: its table and figure, each training.

    The page is one file that loads nothing: send it to anybody. It is logged as the artifact report.html of the
    run, too. Of a search or an experiment that is not finished it shows what is there so far. RUN_ID may be a run of
    the search or an evaluation of it.

    \b
    Examples:
      medarts report search-digits
      medarts report table4-digits-20260101-120000-ab12
      medarts report 0123456789abcdef0123456789abcdef -o found.html --open
    """
    from medarts_ops.tracking.vocabulary import REPORT
    from medarts_ops.whole_file import whole_file

    page = _page_of(given, places)
    path = Path(f"{page.name}.html") if output is None else output
    remedy = "free some space or name another file by --output"
    with os_errors_as(ExportError, f"{str(path)!r} can't be written", remedy), whole_file(path) as file:
        file.write(page.html.encode())
    page.store.log_text(page.run_id, REPORT, page.html)
    if as_json:
        told = {f"{page.kind}_id" if page.kind == "search" else "name": page.name, "run_id": page.run_id}
        print_json({**told, "file": str(path), "state": page.state})
    else:
        echo(str(path))
    if opens:
        webbrowser.open(path.resolve().as_uri())


class _Page(NamedTuple):
    """A page, whose it is, and the store that holds its run."""

    kind: JobKind
    name: str
    run_id: str
    state: str
    html: str
    store: RunStore


def _page_of(given: str, places: Places) -> _Page:
    from medarts_ops.tracking.reading.jobs import find_job

    job = find_job(given, tracking_uri=places.tracking_uri, experiment=places.experiment, work_dir=places.work_dir)
    if job.kind != "experiment":
        from medarts_ops.report.page import report_html
        from medarts_ops.tracking.reading.search_report import search_report

        report, store = search_report(job, work_dir=places.work_dir)
        return _Page("search", report.search_id, report.run_id, report.state, report_html(report), store)
    from medarts_ops.report.experiment_page import experiment_page
    from medarts_ops.tracking.reading.experiment_report import experiment_report

    store = job.opened_store()
    told = experiment_report(job, store)
    assert told.run_id is not None, "it was read from its run"
    return _Page("experiment", job.name, told.run_id, told.state, experiment_page(told), store)
