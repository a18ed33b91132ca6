"""A summary in words: how cells, headings and statistics read, and Markdown that names can't break."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from medarts_ops.summary import Cell, Column, Estimate, Form, Statistic, Summary
from medarts_ops.summary_text import cells_text, formatted, heading, statistic_line, statistics_lines, summary_markdown

THREE = Estimate(mean=0.0276, n=3, std=0.0009, sem=0.00052, low=0.0254, high=0.0298)
PEARSON = Statistic("pearson", "Pearson r", 0.97144, 40, 0.9116, 0.9911, published=0.9899)


@pytest.mark.parametrize(
    ("form", "cell", "text"),
    [
        ("share", THREE, "2.76 ± 0.09 %"),
        ("share", 0.1234, "12.34 %"),
        ("share", 1, "100.00 %"),
        ("signed_share", 0.0031, "+0.31 pp"),
        ("signed_share", Estimate(-0.0042, 3, 0.0015, 0.0009, -0.008, -0.0004), "−0.42 pp [−0.80, −0.04]"),
        ("signed_share", Estimate(-0.0042, 1), "−0.42 pp"),
        ("signed_share", Estimate(0.0, 2, 0.0, 0.0, math.nan, math.nan), "+0.00 pp"),
        ("percent", 2.6, "2.60 %"),
        ("count", 3_349_342, "3,349,342"),
        ("count", Estimate(3_349_342.0, 2, 120.0), "3,349,342 ± 120"),
        ("millions", 3_349_342, "3.35 M"),
        ("millions", Estimate(3_349_342.0, 2, 120_000.0), "3.35 ± 0.12 M"),
        ("millions", Estimate(12_345.0, 2, 10.0), "12,345 ± 10"),
        ("seconds", 200.0, "3 min 20 s"),
        ("seconds", Estimate(200.0, 2, 12.0), "3 min 20 s ± 12 s"),
        ("days", 0.55, "0.55 d"),
        ("days", 3150.0, "3,150 d"),
        ("days", Estimate(0.55, 2, 0.012), "0.55 ± 0.012 d"),
        ("p", 0.0312, "0.031"),
        ("p", 0.0002, "< 0.001"),
        ("number", 0.98765, "0.9877"),
        ("number", 123_456, "123456"),
        ("number", -2.5, "−2.5"),
        ("number", math.inf, "∞"),
        ("number", -math.inf, "−∞"),
        ("text", "failed: loss is NaN", "failed: loss is NaN"),
        ("text", 3, "3"),
        ("share", "failed", "failed"),
    ],
)
def test_a_cell_reads_as_its_columns_form(form: Form, cell: Cell, text: str) -> None:
    assert formatted(cell, Column("key", "heading", form)) == text


@pytest.mark.parametrize("form", ["text", "share", "signed_share", "percent", "count", "millions", "seconds", "days"])
@pytest.mark.parametrize("cell", [None, "", math.nan, Estimate(math.nan, 2, math.nan, math.nan, math.nan, math.nan)])
def test_what_is_not_there_is_a_dash(form: Form, cell: Cell) -> None:
    assert formatted(cell, Column("key", "heading", form), 3) == "-"


@pytest.mark.parametrize("form", ["share", "count", "millions", "seconds", "days", "number", "signed_share"])
def test_one_seed_has_no_deviation(form: Form) -> None:
    text = formatted(Estimate(0.5, 1), Column("key", "heading", form))
    assert "±" not in text and "[" not in text


def test_n_stands_behind_an_estimate_that_rests_on_another_number_of_seeds() -> None:
    column = Column("error", "test error", "share")
    assert formatted(THREE, column, 3) == "2.76 ± 0.09 %"
    assert formatted(THREE, column, 5) == "2.76 ± 0.09 % (n = 3)"


def test_a_heading_says_whose_figures_these_are_once() -> None:
    assert heading(Column("a", "test error", "share", "published")) == "test error (published)"
    assert heading(Column("a", "test error, published", "share", "published")) == "test error, published"
    assert heading(Column("a", "network")) == "network"


def test_a_statistic_has_its_interval_its_n_and_the_published_figure() -> None:
    assert statistic_line(PEARSON) == "Pearson r = 0.971 [0.912, 0.991], n = 40; published 0.9899"
    alone = Statistic("kendall", "Kendall τ", -0.25, 10)
    assert statistic_line(alone) == "Kendall τ = −0.250, n = 10"
    without = replace(PEARSON, low=math.nan, high=math.nan, published=None)
    assert statistic_line(without) == "Pearson r = 0.971, n = 40"
    undefined = replace(PEARSON, value=math.nan, low=math.nan, high=math.nan)
    assert statistic_line(undefined) == "Pearson r = not defined, n = 40; published 0.9899"


def test_how_a_statistic_was_computed_is_said_once() -> None:
    methods = ("bootstrap", "bootstrap", "t-test", "", "bootstrap")
    statistics = tuple(Statistic("r", "r", 0.5, 3, method=method) for method in methods)
    line = "r = 0.500, n = 3"
    assert statistics_lines(replace(a_summary(), statistics=statistics)) == (
        f"{line} (bootstrap)",
        line,
        f"{line} (t-test)",
        line,
        f"{line} (bootstrap)",
    )


def a_summary(subject: str = "g_best") -> Summary:
    columns = (
        Column("subject", "network"),
        Column("error", "test error", "share", "measured here"),
        Column("published", "test error", "percent", "published"),
    )
    rows = (
        {"subject": "g_init", "error": THREE, "published": 3.32},
        {"subject": subject, "error": replace(THREE, n=2)},
    )
    return Summary(
        name="table4-1",
        kind="table4",
        scale="small",
        title="Along the line of descent",
        caption="Mean ± standard deviation over 3 seeds.",
        columns=columns,
        rows=rows,
        statistics=(replace(PEARSON, method="bootstrap over networks"),),
        failures=("g_best.s2: loss is NaN",),
        notes=("Sizes are small.",),
    )


def test_a_row_with_fewer_seeds_than_the_others_says_so() -> None:
    assert cells_text(a_summary()) == (
        ("g_init", "2.76 ± 0.09 %", "3.32 %"),
        ("g_best", "2.76 ± 0.09 % (n = 2)", "-"),
    )


def test_the_markdown_is_the_whole_summary() -> None:
    assert summary_markdown(a_summary()).splitlines() == [
        "**Along the line of descent**",
        "",
        "| network | test error (measured here) | test error (published) |",
        "| :--- | ---: | ---: |",
        "| g_init | 2.76 ± 0.09 % | 3.32 % |",
        "| g_best | 2.76 ± 0.09 % (n = 2) | - |",
        "",
        "- Pearson r = 0.971 [0.912, 0.991], n = 40; published 0.9899 (bootstrap over networks)",
        "",
        "Mean ± standard deviation over 3 seeds.",
        "",
        "Sizes are small.",
        "",
        "Failed:",
        "",
        "- g_best.s2: loss is NaN",
    ]


def test_a_name_breaks_no_table_and_is_no_markup() -> None:
    page = summary_markdown(a_summary("a|b\nc <script> *d* [e](f) __g__"))
    (line,) = [line for line in page.splitlines() if "script" in line]
    assert line.startswith(r"| a\|b c \<script\> \*d\* [e\](f) \_\_g\_\_ | 2.76")
