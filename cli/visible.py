"""Text on its way to people: what a terminal would obey instead of showing is written out."""

from __future__ import annotations

import logging

import click
from rich.console import Console, HighlighterType, JustifyMethod, OverflowMethod
from rich.style import Style
from rich.text import Text

from medarts_ops.visible import visible


def echo(text: str, *, err: bool = False) -> None:
    """Writes a line or several, made visible, to stdout or stderr."""
    click.echo(visible(text, line_breaks=True), err=err)


class VisibleConsole(Console):
    """A console for text of others: made visible, in letters that the stream has, and neither markup nor `:emoji:`."""

    def __init__(self, *, stderr: bool = False, quiet: bool = False, soft_wrap: bool = False, width: int | None = None):
        super().__init__(
            stderr=stderr, quiet=quiet, soft_wrap=soft_wrap, width=width, highlight=False, markup=False, emoji=False
        )

    def render_str(
        self,
        text: str,
        *,
        style: str | Style = "",
        justify: JustifyMethod | None = None,
        overflow: OverflowMethod | None = None,
        emoji: bool | None = None,
        markup: bool | None = None,
        highlight: bool | None = None,
        highlighter: HighlighterType | None = None,
    ) -> Text:
        """The text as it is printed; escapes count in the widths of a table."""
        held = visible(text, line_breaks=True).encode(self.encoding, "backslashreplace").decode(self.encoding)
        return Text(held, style=style, justify=justify, overflow=overflow)


class VisibleLines(logging.Formatter):
    """Log records as their message, made visible, after what they are: a warning, or an error."""

    def format(self, record: logging.LogRecord) -> str:
        """The message, and the traceback where there is one."""
        kind = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        return kind + visible(super().format(record), line_breaks=True)
