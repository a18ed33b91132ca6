"""The report's page: whole in itself, true to the search, safe against names that are markup."""

from __future__ import annotations

import base64
import html
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import matplotlib
import pytest
from class_reports import make_class_report, make_validated_result
from factories import make_genotype, make_pruned
from pictures.searches import make_search_with_all_operators
from report.page_reader import WRITTEN, Page
from report.reports import make_evaluation, make_report, make_unfinished_report

from medarts_ops.config import ObjectiveConfig, ProposalsConfig, RangeConfig
from medarts_ops.config_writing import settings_of
from medarts_ops.configs.loader import load_evaluate_config, load_search_config
from medarts_ops.evolution.stop_rule import Stop
from medarts_ops.individual import Yardstick
from medarts_ops.pictures import gallery
from medarts_ops.report.page import report_html


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(report_html(make_report(), WRITTEN))


def test_the_page_loads_nothing_and_runs_nothing(page: Page) -> None:
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    outside = [address for address in page.addresses if not address.startswith(("data:image/svg+xml;base64,", "#"))]
    assert outside == []
    assert "url(" not in report_html(make_unfinished_report(), WRITTEN).split("</style>")[0]


def test_every_link_of_the_page_leads_to_a_part_of_it(page: Page) -> None:
    assert {address[1:] for address in page.addresses if address.startswith("#")} <= page.ids


def test_every_picture_is_whole(page: Page) -> None:
    pictures = [address.split(",", 1)[1] for address in page.addresses if address.startswith("data:")]
    assert len(pictures) == 3 + 1 + 3 + 1  # fronts, lineage, cells and α and curves, the evaluation's curves
    for content in pictures:
        assert ElementTree.fromstring(base64.b64decode(content)).tag.endswith("svg")


def test_every_individual_stands_in_it_with_its_run(page: Page) -> None:
    report = make_report()
    for name, run_id in report.run_ids.items():
        assert name in page.text and run_id in page.text
    assert "init-08 failed (diverged): loss is NaN" in page.text


def test_it_says_which_images_are_for_the_test_and_what_was_left_out() -> None:
    report = make_report()
    dataset = report.dataset.model_copy(update={"remarks": ("3 files <hidden> are no images",)})
    text = Page(report_html(replace(report, dataset=dataset), WRITTEN)).text
    assert "359 kept for the test (20 % of the images, by class). Run" in text
    assert "3 files <hidden> are no images." in text


def test_a_pruned_individual_says_when_and_what_it_had_come_to() -> None:
    whole = make_report()
    first = whole.stages[0].model_copy(update={"pruned": (make_pruned(9),)})
    text = Page(report_html(replace(whole, stages=(first, *whole.stages[1:])), WRITTEN)).text
    assert "init-09 pruned on front 1 of its population after 1 epoch: accuracy 40.00 %, params 1.00 M." in text
    assert "10 individuals of" in text


def test_the_one_that_was_found_is_marked_in_whatever_stage_it_is() -> None:
    report = make_report()
    assert report.found is not None
    found, last = report.stages[0].ranked[0], report.stages[-1].ranked[0]
    earlier = report.found.model_copy(update={"chosen": found.id})
    text = Page(report_html(replace(report, found=earlier), WRITTEN)).text
    assert f"{found.id} found" in text and f"{last.id} found" not in text
    assert "Its training in stage init" in text


def test_the_cost_counts_short_trainings_where_there_are_any() -> None:
    report = make_report()
    config = report.config.model_copy(update={"objectives": (ObjectiveConfig(name="derived_accuracy"),)})
    said = "and over genotypes of those of their short trainings"
    assert said in Page(report_html(replace(report, config=config), WRITTEN)).text
    assert said not in Page(report_html(report, WRITTEN)).text


def test_an_evaluation_says_what_its_network_does_class_by_class() -> None:
    report = make_report()
    (one,) = report.evaluations
    result = one.result.model_copy(update={"classes": make_class_report()})
    page = Page(report_html(replace(report, evaluations=(replace(one, result=result),)), WRITTEN))
    assert "balanced accuracy, evaluated 70.25 %" in page.text
    assert "class found worst viral: 53 of 124 found (42.74 %)" in page.text
    assert "viral 124 53 42.74 % 63.86 % 51.21 % bacterial (41)" in page.text
    assert len([address for address in page.addresses if address.startswith("data:")]) == 8 + 2
    assert "Class → answer" in page.text


def test_one_that_validated_has_no_lowest_test_error() -> None:
    report = make_report()
    (one,) = report.evaluations
    result = make_validated_result(one.result.genotype)
    page = Page(report_html(replace(report, evaluations=(replace(one, result=result),)), WRITTEN))
    assert "1,234 20.55 % - 30 s" in page.text
    assert "(epoch 2 of 3, chosen by validation images)" in page.text


def test_the_accuracy_of_the_discretized_supernet_stands_beside_who_was_measured() -> None:
    report = make_report()
    first = report.stages[0]
    one = first.ranked[0]
    trained = one.trained.model_copy(update={"discretized_accuracy": 0.2345})
    measured = one.model_copy(update={"evaluated": one.evaluated.model_copy(update={"trained": trained})})
    stage = first.model_copy(update={"ranked": (measured, *first.ranked[1:])})
    text = Page(report_html(replace(report, stages=(stage, *report.stages[1:])), WRITTEN)).text
    skips = f"{one.trained.genotype.skip_count('normal')}/{one.trained.genotype.skip_count('reduce')}"
    assert f"{skips} 23.45 %" in text


def test_it_says_who_goes_on_as_of_an_earlier_epoch_or_of_the_populations_mean(page: Page) -> None:
    assert "Not as of their last epoch" not in page.text
    report = make_report()
    first, updates = report.stages[0], ({"epoch": 0}, {"is_consensus": True})
    taken = [
        one.model_copy(
            update={"evaluated": one.evaluated.model_copy(update={"trained": one.trained.model_copy(update=update)})}
        )
        for one, update in zip(first.ranked, updates, strict=False)
    ]
    stage = first.model_copy(update={"ranked": (*taken, *first.ranked[2:])})
    text = Page(report_html(replace(report, stages=(stage, *report.stages[1:])), WRITTEN)).text
    epochs = len(taken[0].trained.history)
    assert epochs > 1
    assert (
        f"Not as of their last epoch: {taken[0].id} as of epoch 1 of {epochs}, "
        f"{taken[1].id} as of the mean of its population." in text
    )


def test_it_says_how_far_worth_and_mixtures_agree_where_genotypes_were_read_by_worth(page: Page) -> None:
    assert "read by worth" not in page.text
    report = make_report()
    first = report.stages[0]
    one = first.ranked[0]
    normal = tuple(("dil_conv_5x5", source) for _, source in one.trained.genotype.normal)
    other = one.trained.genotype.model_copy(update={"normal": normal})
    same = sum(name == "dil_conv_5x5" for name, _ in one.trained.genotype.normal)
    trained = one.trained.model_copy(update={"mixture_genotype": other})
    read = one.model_copy(update={"evaluated": one.evaluated.model_copy(update={"trained": trained})})
    stage = first.model_copy(update={"ranked": (read, *first.ranked[1:])})
    text = Page(report_html(replace(report, stages=(stage, *report.stages[1:])), WRITTEN)).text
    assert f"of their operations the mixtures say, too: {one.id} {8 + same} of 16." in text


def test_crossover_is_told_in_words(page: Page) -> None:
    children = [one.trained.individual for one in make_report().stages[1].ranked]
    for child in children:
        if child.origin == "crossover":
            first, second = child.parents
            assert f"{child.id} has the normal cell of {first} and the reduction cell of {second}" in page.text


def test_other_operators_are_told_in_words() -> None:
    stages = make_search_with_all_operators().stages
    text = Page(report_html(replace(make_report(), stages=stages, evaluations=()), WRITTEN)).text
    by_origin = {one.trained.individual.origin: one.trained.individual for one in stages[1].ranked}
    nodewise, mutant, agreed = (by_origin[origin] for origin in ("nodewise", "mutation", "consensus"))
    assert f"{nodewise.id} has each node of {nodewise.parents[0]} or of {nodewise.parents[1]}" in text
    assert f"{mutant.id} is {mutant.parents[0]} with a part of its edges changed at random" in text
    assert f"{agreed.id} is the mean of {', '.join(agreed.parents)}" in text


def test_a_cell_of_skip_connections_is_warned_of_and_skips_set_aside_are_named(page: Page) -> None:
    report = make_report()
    assert report.result is not None
    best = report.result.best
    update = {"genotype": make_genotype("skip_connect"), "skips_set_aside": ((0, 2), (1, 4))}
    trained = best.trained.model_copy(update=update)
    last = best.model_copy(update={"evaluated": best.evaluated.model_copy(update={"trained": trained})})
    stage = report.stages[-1].model_copy(update={"ranked": (last,)})
    text = Page(report_html(replace(report, stages=(*report.stages[:-1], stage)), WRITTEN)).text
    assert "Warning: the normal cell has 8 skip-connections" in text
    assert "max_skips set aside 0 → 2, 1 → 4 of its normal cell" in text
    found = report.result.best.trained.genotype.skip_count("normal")
    assert ("Warning: the normal cell has" in page.text) == (found > 2)


def test_the_table_of_a_stage_says_when_darts_plus_would_have_stopped(page: Page) -> None:
    report = make_report()
    first = report.stages[0].ranked[0].id
    text = Page(report_html(replace(report, stops={first: Stop(4, "skips")}), WRITTEN)).text
    assert "skips discretized DARTS+ stops init-" in text and " 5 (skips) " in text
    assert "DARTS+ stops" not in page.text


def test_each_stage_says_how_many_survive(page: Page) -> None:
    assert "4 of 8 survive." in page.text
    assert "1 of 8 survive." in page.text
    assert page.text.count("survive.") == 2
    assert page.text.count(" survivor ") == 5 and page.text.count("a ring marks survivors") == 3


def test_the_evaluation_is_there_with_its_last_and_its_lowest_error(page: Page) -> None:
    assert "evaluated-1" in page.text
    assert "3,349,342 2.75 % 1.75 %" in page.text


def test_the_error_on_top_is_that_of_what_was_found_and_of_no_other_genotype() -> None:
    report = make_report()
    assert report.result is not None
    found, other = report.result.best.trained.genotype, make_genotype()
    both = (make_evaluation("mine", 0.03, found), make_evaluation("other", 0.5, other))
    text = Page(report_html(replace(report, evaluations=both), WRITTEN)).text
    assert "test error, evaluated 3.00 %" in text
    assert f"other mid-03 {other.identity} digits" in text
    alone = Page(report_html(replace(report, evaluations=both[1:]), WRITTEN)).text
    assert "test error, evaluated" not in alone


def test_a_picture_that_can_not_be_drawn_is_left_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object) -> None:
        raise ValueError("no font")

    monkeypatch.setattr(gallery, "lineage_figure", fails)
    page = Page(report_html(make_report(), WRITTEN))
    assert "Family tree" not in page.text and "What was found" in page.text
    assert caplog.messages == ["picture lineage of the report on search-test can't be drawn: no font"]


def test_what_a_user_has_set_for_matplotlib_changes_no_picture() -> None:
    usual = report_html(make_report(), WRITTEN)
    with matplotlib.rc_context({"text.usetex": True, "svg.fonttype": "none", "font.size": 30}):
        assert report_html(make_report(), WRITTEN) == usual


def test_settings_that_differ_from_their_defaults_come_first_and_all_have_their_origin(page: Page) -> None:
    text = page.text
    every = text.index(f"All {len(settings_of(make_report().config))} settings")
    assert text.index("seed 7 0 ours") < every
    assert "weights.lr 0.025 0.025 DARTS learning rate of the first epoch" in text[every:]


@pytest.mark.parametrize("names", [(), ("alpha_lr",), ("alpha_lr", "weights_lr")])
def test_the_settings_file_in_it_gives_the_same_config_again(tmp_path: Path, names: tuple[str, ...]) -> None:
    space = {name: RangeConfig(low=0.1, high=0.2) for name in names}
    config = make_report().config.model_copy(update={"proposals": ProposalsConfig.model_validate({"space": space})})
    page = report_html(replace(make_report(), config=config, evaluate={"epochs": 7}))
    found = re.search(r"<summary>search.yaml</summary>\n<pre>(.*?)</pre>", page, re.DOTALL)
    assert found is not None
    file = tmp_path / "search.yaml"
    file.write_text(html.unescape(found[1]), encoding="utf-8")
    assert load_search_config(config_file=file) == config
    assert load_evaluate_config(config_file=file).epochs == 7


def test_a_search_on_its_way_shows_the_stages_so_far() -> None:
    page = Page(report_html(make_unfinished_report(), WRITTEN))
    assert "ME-DARTS search, stopped before its end" in page.text
    assert "What was found" not in page.text
    assert "Stage 0: init" in page.text
    assert "Stage 1: mid" not in page.text


def test_a_search_without_a_finished_stage_has_a_page_too() -> None:
    page = Page(report_html(replace(make_unfinished_report(), stages=()), WRITTEN))
    assert "How to reproduce" in page.text


def test_names_that_are_markup_stay_names() -> None:
    report = replace(
        make_report(),
        search_id="<script>alert(1)</script>",
        evaluations=(make_evaluation("<b>", 0.1, make_genotype()),),
    )
    text = report_html(report, WRITTEN)
    assert "<script>" not in text and "<b>" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


def test_equal_reports_give_equal_pages() -> None:
    assert report_html(make_report(), WRITTEN) == report_html(make_report(), WRITTEN)


def test_a_ranking_that_means_nothing_is_warned_of_at_its_stage_and_where_the_found_one_stands() -> None:
    report = make_report()
    assert "beats chance" not in report_html(report)
    no_better = Yardstick(images=4, chance=1.0, steps=8)
    stages = tuple(stage.model_copy(update={"yardstick": no_better}) for stage in report.stages)
    text = Page(report_html(replace(report, stages=stages))).text
    for stage in stages:
        assert f"Warning: no individual of stage {stage.name} beats chance" in text
    assert text.count(f"no individual of stage {stages[-1].name} beats chance") == 2
