"""How an experiment's result is printed: for people at any width, and for other programs."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from medarts_ops.cli.experiment_output import print_summary, summary_json
from medarts_ops.summary import Column, Estimate, Statistic, Summary
from medarts_ops.tracking.artifacts.files import without_nan

TABLE = Summary(
    name="table4-digits",
    kind="table4",
    scale="small",
    title="Table IV: test error along the line of descent",
    caption="Measured here with 3 seeds, 8 epochs and 3,000 images at 32×32, networks of 5 cells and 8 channels.",
    columns=(
        Column("network", "network"),
        Column("individual", "individual"),
        Column("parameters", "parameters", "count"),
        Column("error", "test error, measured here (3 seeds, 8 epochs, 3,000 images)", "share", "measured here"),
        Column("published", "published (ME-DARTS, CIFAR-10)", "percent", "published"),
    ),
    rows=(
        {
            "network": "g_init",
            "individual": "init-03",
            "parameters": 12345,
            "error": Estimate(0.3, 3, 0.01, 0.0058, 0.2752, 0.3248),
            "published": 3.32,
        },
        {"network": "g_best", "individual": "final-00", "parameters": 23456, "error": Estimate(0.25, 1)},
    ),
    statistics=(
        Statistic("gain", "g_best − g_init", -5.0, 3, -7.5, -2.5, published=-0.72, method="paired by seed"),
        Statistic("p", "p of it", float("nan"), 1),
    ),
    notes=("1 of 6 trainings taken over from before: g_init, seed 0",),
    failures=("g_best.s1 diverged: loss is NaN; lower weights.lr",),
)


def on_terminal(summary: Summary, width: int) -> list[str]:
    written = io.StringIO()
    console = Console(file=written, width=width, markup=False, highlight=False, soft_wrap=True)
    print_summary(console, summary)
    return [line.rstrip() for line in written.getvalue().splitlines()]


def test_in_eighty_columns_headings_fold_and_rows_stay_whole() -> None:
    lines = on_terminal(TABLE, 80)
    assert max(map(len, lines)) <= 80
    assert lines[0] == "Table IV: test error along the line of descent"
    first = next(line for line in lines if line.startswith("g_init"))
    assert first.split() == ["g_init", "init-03", "12,345", "30.00", "±", "1.00", "%", "3.32", "%"]
    heading = " ".join(lines[1 : lines.index(first)]).split()
    assert {"measured", "here", "published", "(3", "seeds,"} <= set(heading)


def test_one_seed_has_no_deviation_and_says_so() -> None:
    best = next(line for line in on_terminal(TABLE, 80) if line.startswith("g_best"))
    assert best.split() == ["g_best", "final-00", "23,456", "25.00", "%", "(n", "=", "1)", "-"]


def test_statistics_caption_notes_and_failures_follow() -> None:
    text = " ".join(" ".join(on_terminal(TABLE, 80)).split())
    order = [
        "g_best − g_init = −5.000 [−7.500, −2.500], n = 3; published -0.72 (paired by seed)".replace("-0.72", "−0.72"),
        "p of it = not defined, n = 1",
        "Measured here with 3 seeds",
        "1 of 6 trainings taken over from before",
        "failed: g_best.s1 diverged: loss is NaN; lower weights.lr",
    ]
    places = [text.index(each) for each in order]
    assert places == sorted(places)


@pytest.mark.parametrize("width", [24, 40])
def test_a_terminal_too_narrow_for_the_table_is_told_row_by_row(width: int) -> None:
    lines = on_terminal(TABLE, width)
    assert "g_init" in lines and "g_best" in lines
    assert lines[lines.index("g_init") + 1] == "  individual: init-03"
    assert max(map(len, lines)) <= width
    rest = " ".join(lines[lines.index("g_best") + 1 :])
    assert "published (ME-DARTS" not in rest  # an empty cell takes no line


def test_in_a_pipe_a_row_is_a_line_with_its_whole_heading() -> None:
    lines = on_terminal(TABLE, 1000)
    assert lines[1].split("  ")[0] == "network"
    assert "test error, measured here (3 seeds, 8 epochs, 3,000 images)" in lines[1]
    assert lines[2].startswith("g_init ")


def test_what_others_wrote_stays_in_its_line() -> None:
    evil = replace(TABLE, rows=({"network": "a\nb\x1b[2J", "error": 0.5},), failures=("x\x1b]0;title\x07",))
    text = "\n".join(on_terminal(evil, 80))
    assert "\x1b" not in text and r"a\nb\x1b[2J" in text and r"failed: x\x1b]0;title\x07" in text


def test_a_table_without_rows_is_its_heading() -> None:
    assert "network" in " ".join(on_terminal(replace(TABLE, rows=()), 80))


def test_json_has_flat_rows_and_all_statistics() -> None:
    data = json.loads(json.dumps(without_nan(summary_json(TABLE)), allow_nan=False))
    assert (data["name"], data["kind"], data["scale"]) == ("table4-digits", "table4", "small")
    first, second = data["rows"]
    assert (first["error"], first["error_std"], first["error_n"]) == (0.3, 0.01, 3)
    assert (second["error"], second["error_std"], second["error_n"]) == (0.25, None, 1)
    assert data["statistics"][0]["published"] == -0.72 and data["statistics"][1]["value"] is None
    assert data["columns"][4] == {
        "key": "published",
        "heading": "published (ME-DARTS, CIFAR-10)",
        "form": "percent",
        "origin": "published",
    }
    assert data["failures"] == list(TABLE.failures) and data["notes"] == list(TABLE.notes)
