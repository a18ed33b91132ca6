"""The line that gives the command at work again."""

from __future__ import annotations

import click
import pytest

from medarts_ops.cli.next_command import given_line, note_given


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("reproduce", "fig5", "--seeds", "0-1"), "medarts reproduce fig5 --seeds 0-1"),
        (("sweep", "--vary", "objectives=[accuracy, params]"), "medarts sweep --vary 'objectives=[accuracy, params]'"),
        (("sweep", "--name", "mine", "x.yaml"), "medarts sweep x.yaml"),
        (("sweep", "--name=mine", "x.yaml", "--csv"), "medarts sweep x.yaml --csv"),
        (
            ("sweep", "--tracking-uri", "postgresql://me:secret@host/db", "--storage=postgresql://me:secret@host/db"),
            "medarts sweep --tracking-uri 'postgresql://me:***@host/db' '--storage=postgresql://me:***@host/db'",
        ),
    ],
)
def test_it_has_neither_a_name_nor_a_password(words: tuple[str, ...], line: str) -> None:
    with click.Context(click.Command("medarts")) as ctx:
        note_given(ctx, words)
        assert given_line() == line
