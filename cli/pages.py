"""Links into MLflow's pages on the store in use: served by its server, or by `medarts ui` once that runs."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console

from medarts_ops.cli.options import Places
from medarts_ops.cli.output import command_line
from medarts_ops.cli.ui import DEFAULT_PORT, LOCAL, pages_of

LOCAL_PAGES = f"http://{LOCAL}:{DEFAULT_PORT}"
"""Where `medarts ui` serves them."""


def served_pages(tracking_uri: str | None) -> str | None:
    """The address of the pages where the store is a server's, which has them; None for a database."""
    from medarts_ops.tracking.stores.opening import resolve_tracking_uri

    return pages_of(resolve_tracking_uri(tracking_uri))


def print_link(console: Console, what: str, link: Callable[[str], str], places: Places) -> None:
    """Write the link to `what` there is to see, and what makes it answer where the store is a database.

    `link` gives it for the address of the pages.
    """
    pages = served_pages(places.tracking_uri)
    once = "" if pages else f", once `{command_line('ui', tracking_uri=places.named_store)}` runs"
    console.print(f"{what} in MLflow{once}:\n  {link(pages or LOCAL_PAGES)}")
