"""A survey of images and what is advised for them, as people read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console

from medarts_ops.cli.output import print_facts, print_line, print_next, print_table, table
from medarts_ops.data.advice import Advice
from medarts_ops.data.survey import ELONGATED, Shapes, Spread, Survey
from medarts_ops.quantities import byte_size, percent

MOST_CLASSES = 40
"""Rows of a table of classes; of more classes those with the fewest and the most images are shown."""

MOST_NAMED = 10
"""Unreadable images that are named."""

BAR_WIDTH = 24


def print_survey(console: Console, survey: Survey, to_mend: Sequence[str]) -> None:
    """What there is, what is worth knowing of it, and what has to be mended."""
    where = survey.name if survey.data is None else survey.data
    many = "1 class" if len(survey.classes) == 1 else f"{len(survey.classes):,} classes"
    print_line(console, f"{where}: {survey.n_images:,} images of {many}, {byte_size(survey.n_bytes)}")
    if survey.classes:
        console.print()
        _print_classes(console, survey)
    if survey.shapes is not None:
        console.print()
        _print_shapes(console, survey.shapes, survey.n_images)
        print_facts(console, [("pixels", _listed(survey.kinds)), ("formats", _listed(survey.formats))])
    _print_list(console, "Worth knowing:", [*survey.remarks, *(copies.in_words for copies in survey.copies)])
    named = [f"{image.name}: {image.reason}" for image in survey.unreadable]
    more = [f"and {len(named) - MOST_NAMED:,} more; --json names all"] if len(named) > MOST_NAMED else []
    _print_list(console, "Can't be read:", [*named[:MOST_NAMED], *more])
    _print_list(console, "To mend:", to_mend)


def print_advice(console: Console, advice: Advice, search: Sequence[str] | None) -> None:
    """What is advised and why, and the search to copy; None while something has to be mended first."""
    console.print("\nAdvice:")
    choices = table("", "", "why", folding=["why"])
    for choice in advice.choices:
        choices.add_row(choice.of, choice.value, choice.why)
    print_table(console, choices)
    if search is None:
        console.print("\nOnce all is mended, `medarts data` ends with the search to copy.")
        return
    print_next(console, search, tracking_uri=None)
    leaves_out = "Images that can't be read are left out. " if "dataset.skip_unreadable" in advice.settings else ""
    console.print(f"{leaves_out}With --dry-run at its end it says what that costs, with --budget 2h it is made to fit.")


def _print_classes(console: Console, survey: Survey) -> None:
    parts = list(survey.counts)
    columns = [*parts, "all"] if len(parts) > 1 else ["images"]
    made = table("class", *columns, numbers=columns)
    shown = _shown_classes(survey)
    for name in shown:
        numbers = [survey.counts[part][name] for part in parts]
        made.add_row(name, *(f"{number:,}" for number in ([*numbers, sum(numbers)] if len(parts) > 1 else numbers)))
    print_table(console, made)
    if len(shown) < len(survey.classes):
        print_line(console, f"of {len(survey.classes):,} classes those with the fewest and the most images")


def _shown_classes(survey: Survey) -> Sequence[str]:
    if len(survey.classes) <= MOST_CLASSES:
        return survey.classes
    by_size = sorted(survey.classes, key=survey.of_class)
    return [*by_size[: MOST_CLASSES // 2], *by_size[-MOST_CLASSES // 2 :]]


def _print_shapes(console: Console, shapes: Shapes, n_images: int) -> None:
    sides = (("widths", shapes.widths, ",.0f"), ("heights", shapes.heights, ",.0f"), ("aspects", shapes.aspects, ".2f"))
    facts = [(name, _spread(spread, digits)) for name, spread, digits in sides]
    if shapes.elongated:
        share = percent(shapes.elongated / n_images)
        facts.append(("", f"{share} of the images are over {ELONGATED} times as long as wide, or as wide as long"))
    print_facts(console, facts)
    if len(shapes.sides) > 1:
        most = max(shapes.sides.values())
        made = table("short side", "images", "", numbers=["images"])
        for name, number in shapes.sides.items():
            made.add_row(name, f"{number:,}", "█" * -(-BAR_WIDTH * number // most))
        print_table(console, made)


def _spread(spread: Spread, digits: str) -> str:
    smallest, median, largest = (format(each, digits) for each in (spread.smallest, spread.median, spread.largest))
    return f"{smallest} each" if smallest == largest else f"{smallest} to {largest}, median {median}"


def _print_list(console: Console, heading: str, lines: Sequence[str]) -> None:
    if lines:
        console.print(f"\n{heading}")
        for line in lines:
            print_line(console, f"  {line}")


def _listed(numbers: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {number:,}" for name, number in numbers.items())
