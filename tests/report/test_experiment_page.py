"""The page of an experiment: whole in itself, each training accounted for, published figures told apart."""

from __future__ import annotations

import base64
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest
from pictures.summaries import make_pairs
from report.experiment_reports import make_sweep_report, make_table4_report
from report.page_reader import WRITTEN, Page

from medarts_ops.report.experiment_page import experiment_page
from medarts_ops.report.experiment_tables import arm_table, key_numbers, training_lines
from medarts_ops.report.values import ExperimentReport
from medarts_ops.summary_text import summary_markdown


@pytest.fixture(scope="module")
def text() -> str:
    return experiment_page(make_table4_report(), WRITTEN)


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


def test_the_page_loads_nothing_and_runs_nothing(page: Page) -> None:
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    assert [one for one in page.addresses if not one.startswith(("data:image/svg+xml;base64,", "#"))] == []


def test_every_link_of_the_page_leads_to_a_part_of_it(page: Page) -> None:
    assert {address[1:] for address in page.addresses if address.startswith("#")} <= page.ids


def test_the_figure_is_in_it_and_whole(page: Page) -> None:
    (picture,) = [address.split(",", 1)[1] for address in page.addresses if address.startswith("data:")]
    assert ElementTree.fromstring(base64.b64decode(picture)).tag.endswith("svg")


def test_it_says_what_it_is_and_how_it_stands(page: Page) -> None:
    assert "ME-DARTS experiment, stopped before its end: 5 of 6 trainings are over" in page.text
    assert "the paper's Table IV. Its scale is small" in page.text
    assert f"Experiment table4-1 , run {'e' * 32}" in page.text
    assert "medarts resume table4-1" in page.text
    assert "medarts reproduce table4 search-test --seeds 0,1" in page.text


def test_a_finished_one_is_not_to_be_resumed() -> None:
    found = Page(experiment_page(make_sweep_report(), WRITTEN)).text
    assert "ME-DARTS experiment, finished" in found and "trainings are over" not in found
    assert "medarts resume" not in found and ", run" not in found


def test_the_table_reads_as_everywhere_else(page: Page) -> None:
    table = summary_markdown(make_table4_report().summary).splitlines()[4:7]
    for line in table:
        assert " ".join(line.strip("| ").split(" | ")) in page.text


def test_published_figures_look_unlike_measured_ones(text: str) -> None:
    assert '<th class="number published">test error (published)</th>' in text
    assert '<th class="number">test error (measured here)</th>' in text
    assert text.count('<td class="number published">') == 3
    assert '<td class="number published">3.32 %</td>' in text


def test_every_training_has_a_line_whatever_became_of_it(page: Page) -> None:
    lines = {line.training.key: line for line in training_lines(make_table4_report())}
    assert list(lines) == ["g_init.s0", "g_mid.s0", "g_best.s0", "g_init.s1", "g_mid.s1", "g_best.s1"]
    assert lines["g_init.s0"].result == "test error 3.00 %, 3.35 M parameters"
    assert lines["g_mid.s0"].taken_from == "a" * 32
    assert (lines["g_mid.s1"].result, lines["g_mid.s1"].failed) == ("failed (diverged): loss is NaN", True)
    assert (lines["g_best.s1"].result, lines["g_best.s1"].run_id) == ("not done yet", None)
    assert "g_init.s0 the network g_init 8×8 0 test error 3.00 %, 3.35 M parameters 2 min 0 s 00000" in page.text
    taken = "g_mid.s0 the network g_mid 8×8 0 test error 2.75 %, 3.35 M parameters 2 min 0 s"
    assert f"{taken} - {'a' * 32}" in page.text
    assert "g_best.s1 the network g_best 8×8 1 not done yet - - -" in page.text


def test_a_search_shows_what_its_best_came_to() -> None:
    first = training_lines(make_sweep_report())[0]
    assert (first.training.key, first.result) == ("lr-0.025.s0.search", "accuracy 50.00 %, params 3.35 M")


def test_the_numbers_on_top_are_the_means_and_what_was_done() -> None:
    assert dict(key_numbers(make_table4_report())) == {
        "g_init, test error": "3.47 ± 0.15 %",
        "g_mid, test error": "2.93 ± 0.15 %",
        "g_best, test error": "2.65 ± 0.07 %",
        "trainings done": "4 of 6",
        "of these taken over": "1",
        "seeds": "0, 1",
        "training time": "6 min 0 s",
    }


def test_correlations_stand_on_top_and_in_a_part_of_their_own() -> None:
    report = replace(make_table4_report(), summary=make_pairs())
    assert dict(key_numbers(report))["Pearson r, n = 40"].startswith("0.9")
    found = Page(experiment_page(report, WRITTEN)).text
    assert re.search(r"Statistics Pearson r = 0\.9\d\d \[0\.910, 0\.995\], n = 40; published 0\.9899", found)


def test_only_settings_that_differ_are_columns() -> None:
    table = arm_table(make_sweep_report().result.plan)
    assert table.paths == ("evaluate.weights.lr",)
    assert [line.settings for line in table.lines] == [("0.025",), ("0.05",)]
    assert arm_table(make_table4_report().result.plan).paths == ()


def test_genotypes_say_who_found_them(page: Page) -> None:
    genotype = make_table4_report().result.plan.arms[0].genotype
    assert genotype is not None
    assert f"g_init the network g_init 8×8 {genotype.identity} final-00 of search-test {'f' * 32} digits" in page.text


def test_settings_of_the_first_arm_and_the_images_are_there(page: Page) -> None:
    assert "The evaluation of g_init" in page.text
    assert "epochs 3 600 DARTS epochs of training" in page.text
    assert "digits 0123456789ab 1,438 359 10 8 × 8 20 % of the images, by class" in page.text


def test_failures_and_notes_are_sentences_of_the_page() -> None:
    report = make_table4_report()
    summary = replace(report.summary, failures=("g_mid.s1: loss is NaN",), notes=("Sizes are small.",), figure=None)
    found = experiment_page(replace(report, summary=summary), WRITTEN)
    assert '<p class="failed">g_mid.s1: loss is NaN</p>' in found and "<p>Sizes are small.</p>" in found
    assert "<figure>" not in found


def test_an_experiment_of_which_nothing_is_done_has_a_page_too() -> None:
    report = make_table4_report()
    empty = replace(report, result=report.result.model_copy(update={"outcomes": ()}), run_ids={})
    assert "0 of 6 trainings are over" in experiment_page(empty, WRITTEN)


def test_names_that_are_markup_stay_names() -> None:
    wicked = "<script>alert(1)</script>"
    report = make_table4_report()
    summary = replace(
        report.summary, title=wicked, caption=wicked, notes=(wicked,), failures=(wicked,), rows=({"subject": wicked},)
    )
    arms = tuple(arm.model_copy(update={"subject": wicked, "condition": wicked}) for arm in report.result.plan.arms)
    result = report.result.model_copy(update={"plan": report.result.plan.model_copy(update={"arms": arms})})
    found = experiment_page(ExperimentReport(summary, result, "finished", wicked, {}, wicked), WRITTEN)
    assert "<script>" not in found
    assert found.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 10


def test_equal_reports_give_equal_pages(text: str) -> None:
    assert experiment_page(make_table4_report(), WRITTEN) == text


def test_control_characters_of_names_are_written_out() -> None:
    report = make_table4_report()
    plan = report.result.plan
    wild = plan.arms[0].model_copy(update={"subject": "a\x1b[31mnetwork\u202e"})
    result = report.result.model_copy(update={"plan": plan.model_copy(update={"arms": (wild, *plan.arms[1:])})})
    summary = replace(report.summary, notes=("found by \x9b2J <b>\nand more",))
    text = experiment_page(replace(report, result=result, summary=summary), WRITTEN)
    assert r"a\x1b[31mnetwork\u202e" in text and "found by \\x9b2J &lt;b&gt;\nand more" in text
    assert {letter for letter in text if not letter.isprintable()} == {"\n"}
