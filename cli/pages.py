"""Links into MLflow's pages on the store in use: served by its server, or by `medarts ui` once that runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.console import Console

from medarts_ops.cli.options import Places
from medarts_ops.cli.output import command_line
from medarts_ops.cli.ui import DEFAULT_PORT, LOCAL, pages_of

if TYPE_CHECKING:
    from medarts_ops.tracking.search import TrackedSearch

LOCAL_PAGES = f"http://{LOCAL}:{DEFAULT_PORT}"
"""Where `medarts ui` serves them."""


def served_pages(tracking_uri: str | None) -> str | None:
    """The address of the pages where the store is a server's, which has them; None for a database."""
    from medarts_ops.tracking.stores.opening import resolve_tracking_uri

    return pages_of(resolve_tracking_uri(tracking_uri))


def print_link(console: Console, what: str, link: Callable[[str], str], places: Places) -> None:
    """Write the link to what there is to see, and what makes it answer where the store is a database.

    Args:
        console: where to.
        what: what the link shows.
        link: from the pages' address to the link.
        places: the store in use.
    """
    pages = served_pages(places.tracking_uri)
    if pages is None:
        console.print(f"{what} in MLflow, once `{command_line('ui', tracking_uri=places.named_store)}` runs:")
    else:
        console.print(f"{what} in MLflow:")
    console.print(f"  {link(pages or LOCAL_PAGES)}")


def print_individuals_link(console: Console, found: TrackedSearch, places: Places) -> None:
    """Write the link that compares all individuals of a finished search; arguments as of `print_link`."""
    from medarts_ops.tracking.reading.links import comparison_link

    def link(pages: str) -> str:
        return comparison_link(pages, found.experiment_id, search_id=found.result.search_id)

    print_link(console, "All individuals", link, places)
