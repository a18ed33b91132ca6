"""`medarts report`: a search as one page of HTML."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import click

from medarts_ops.cli.options import Places, json_option, places_options
from medarts_ops.cli.output import print_json
from medarts_ops.errors import ExportError, os_errors_as


@click.command(short_help="A search as one page of HTML, with pictures.")
@click.argument("search", metavar="RUN_ID|NAME")
@click.option(
    "--output",
    "-o",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where the page is written; a file that is there is replaced.  [default: <search>.html]",
)
@click.option("--open", "opens", is_flag=True, help="Show the page in the browser.")
@places_options("tracking_uri", "work_dir")
@json_option
def command(places: Places, *, search: str, output: Path | None, opens: bool, as_json: bool) -> None:
    """Write the report of a search: what was run, each stage's front, who comes from whom, the cells that were found,
    the cost, evaluations, and how to reproduce it.

    The page is one file that loads nothing: send it to anybody. It is logged as the artifact report.html of the
    search's run, too. Of a search that is not finished it shows the stages so far. RUN_ID may be a run of the search
    or an evaluation of it.

    \b
    Examples:
      medarts report search-digits
      medarts report 0123456789abcdef0123456789abcdef -o found.html --open
    """
    from medarts_ops.report.page import report_html
    from medarts_ops.tracking.reading.search_report import search_report
    from medarts_ops.tracking.vocabulary import REPORT
    from medarts_ops.whole_file import whole_file

    report, store = search_report(
        search, tracking_uri=places.tracking_uri, experiment=places.experiment, work_dir=places.work_dir
    )
    path = Path(f"{report.search_id}.html") if output is None else output
    page = report_html(report)
    remedy = "free some space or name another file by --output"
    with os_errors_as(ExportError, f"{str(path)!r} can't be written", remedy), whole_file(path) as file:
        file.write(page.encode())
    store.log_text(report.run_id, REPORT, page)
    if as_json:
        print_json({"search_id": report.search_id, "run_id": report.run_id, "file": str(path), "state": report.state})
    else:
        click.echo(str(path))
    if opens:
        webbrowser.open(path.resolve().as_uri())
