"""The warning of a collapsed search, on stdout."""

from __future__ import annotations

from rich.console import Console

from medarts_ops.space.collapse import collapse_warning
from medarts_ops.space.genotype import Genotype


def print_collapse(console: Console, genotype: Genotype) -> None:
    """Writes a warning where a found normal cell has many skip-connections; else nothing."""
    warning = collapse_warning(genotype)
    if warning is not None:
        console.print(f"\nWarning: {warning}")
