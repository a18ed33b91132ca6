"""Table IV: who descends from whom, which networks are trained, and what the table says of made-up outcomes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from experiment_outcomes import make_networks, make_result, make_setting
from factories import make_genotype, make_individual, make_ranked, make_trained
from scipy import stats

from medarts_ops.errors import SearchError
from medarts_ops.experiment import Source
from medarts_ops.experiments.network import plan_networks
from medarts_ops.experiments.table4 import descent_networks, line_of_descent, summarize_table4
from medarts_ops.individual import RankedIndividual, StageResult

OPERATIONS = ("max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3")


def member(stage: str, index: int, number: int, accuracy: float, *parents: str) -> RankedIndividual:
    origin = ("random", "inherited", "crossover")[len(parents)]
    born = make_individual(number, index, stage, origin=origin, parents=parents)
    trained = make_trained(born, genotype=make_genotype(OPERATIONS[number]), valid_accuracy=accuracy)
    return make_ranked(number, accuracy, trained=trained)


def make_family(*stages: tuple[str, Sequence[RankedIndividual]]) -> tuple[StageResult, ...]:
    return tuple(
        StageResult(index=index, name=name, ranked=tuple(ranked), failed=(), seconds=1.0)
        for index, (name, ranked) in enumerate(stages)
    )


# final-00 <- mid-03, a child of init-02 (normal cell) and init-00; mid-01 and init-01 have other heirs.
FAMILY = make_family(
    ("init", [member("init", 0, number, 0.5) for number in range(3)]),
    ("mid", [member("mid", 1, 1, 0.9, "init-01"), member("mid", 1, 3, 0.6, "init-02", "init-00")]),
    ("final", [member("final", 2, 0, 0.8, "mid-03"), member("final", 2, 1, 0.7, "mid-01")]),
)
# final-00, a child of mid-01 and mid-00, both children of init-00 and init-01.
FORKED = make_family(
    ("init", [member("init", 0, number, 0.5) for number in range(2)]),
    ("mid", [member("mid", 1, 0, 0.6, "init-00", "init-01"), member("mid", 1, 1, 0.6, "init-01", "init-00")]),
    ("final", [member("final", 2, 0, 0.8, "mid-01", "mid-00")]),
)


def names(networks: Sequence[object]) -> list[str]:
    return [network.name for network in networks]


def test_the_line_goes_on_with_the_first_of_many_parents():
    agreed = member("mid", 1, 3, 0.6)
    born = agreed.trained.individual.model_copy(
        update={"origin": "consensus", "parents": ("init-01", "init-00", "init-02")}
    )
    child = make_ranked(3, 0.6, trained=make_trained(born, valid_accuracy=0.6))
    family = make_family(
        ("init", [member("init", 0, number, 0.5) for number in range(3)]),
        ("mid", [child]),
        ("final", [member("final", 2, 0, 0.8, "mid-03")]),
    )
    assert [each.id for each in line_of_descent(family)] == ["init-01", "mid-03", "final-00"]
    everybody = ["init-00", "init-01", "init-02", "mid-03", "final-00"]
    assert [each.id for each in line_of_descent(family, all_parents=True)] == everybody


def test_the_line_goes_from_the_last_stages_best_back_over_the_parent_of_the_normal_cell():
    assert [each.id for each in line_of_descent(FAMILY)] == ["init-02", "mid-03", "final-00"]
    assert [each.id for each in line_of_descent(FORKED)] == ["init-01", "mid-01", "final-00"]


def test_all_parents_are_each_there_once_by_stage_and_number():
    assert [each.id for each in line_of_descent(FAMILY, True)] == ["init-00", "init-02", "mid-03", "final-00"]
    family = [each.id for each in line_of_descent(FORKED, True)]
    assert family == ["init-00", "init-01", "mid-00", "mid-01", "final-00"]


def test_a_search_of_one_stage_is_refused():
    with pytest.raises(SearchError, match="got 1, allowed are two or more; take a search of more stages"):
        line_of_descent(FAMILY[:1])


def test_three_stages_give_the_papers_names_genotypes_and_published_figures():
    source = Source(search="mine", individual="mid-03", run_id="1" * 32)
    networks = descent_networks(FAMILY, {"mid-03": source})
    assert names(networks) == ["g_init", "g_mid", "g_best"] == [each.published_as for each in networks]
    assert [each.description for each in networks] == ["init-02, random", "mid-03, crossover", "final-00, inherited"]
    assert networks[1].source == source and networks[0].source is None
    assert networks[1].genotype == make_genotype("sep_conv_3x3")


def test_several_of_one_stage_are_told_apart_and_published_figures_are_of_the_line_alone():
    networks = descent_networks(FORKED, {}, all_parents=True)
    assert names(networks) == ["g_init-00", "g_init-01", "g_mid-00", "g_mid-01", "g_best"]
    assert [each.published_as for each in networks] == [None, "g_init", None, "g_mid", "g_best"]


def test_other_numbers_of_stages_are_named_after_them_and_the_last_is_the_best():
    two = make_family(("init", [member("init", 0, 0, 0.5)]), ("final", [member("final", 1, 0, 0.5, "init-00")]))
    assert names(descent_networks(two, {})) == ["g_init", "g_best"]
    stages = ["a", "b", "best", "d"]
    four = make_family(
        *(
            (name, [member(name, at, 0, 0.5, *([f"{stages[at - 1]}-00"] if at else []))])
            for at, name in enumerate(stages)
        )
    )
    assert names(descent_networks(four, {})) == ["g_init", "g_b", "g_best.2", "g_best"]


ERRORS = {"g_init": (0.30, 0.34, 0.29), "g_mid": (0.28, 0.29, 0.27), "g_best": (0.25, 0.30, 0.26)}


def make_plan(dataset: str = "digits", seeds: Sequence[int] = (0, 1, 2)):
    networks = [each._replace(published_as=each.name) for each in make_networks(*ERRORS)]
    return plan_networks(
        "table4", networks, {"": make_setting(dataset, images=1005)}, seeds=seeds, scale="small", workers=1
    )


def test_each_network_is_trained_with_each_seed():
    keys = [training.key for training in make_plan(seeds=(0, 4)).trainings]
    assert keys == ["g_init.s0", "g_mid.s0", "g_best.s0", "g_init.s4", "g_mid.s4", "g_best.s4"]


def test_the_table_has_the_errors_beside_the_papers_and_the_paired_difference():
    result = make_result(make_plan(), lambda training: ERRORS[training.arm.name][training.seed])
    summary = summarize_table4(result)
    init, mid, best = summary.rows
    assert mid["error"].mean == pytest.approx(0.28) and mid["parameters"] == 12_345
    assert [row["published_error"] for row in summary.rows] == [3.32, 2.82, 2.6]
    assert init["difference"] is None and init["architecture"] == "g_init"
    assert summary.notes[0].startswith("g_init is g_init in words; g_mid is g_mid in words; ")
    assert best["difference"].mean == pytest.approx(-0.04) and best["difference"].n == 3
    oracle = stats.ttest_rel(ERRORS["g_best"], ERRORS["g_init"])
    gain, p = summary.statistics
    assert (gain.value, gain.low, gain.high) == pytest.approx((-4, *(100 * x for x in oracle.confidence_interval())))
    assert p.value == pytest.approx(oracle.pvalue) and gain.published is None


def test_headings_say_whose_figures_these_are_and_on_what():
    summary = summarize_table4(make_result(make_plan(), lambda training: 0.3))
    columns = {column.key: column for column in summary.columns}
    assert columns["error"].heading == "test error, measured here (3 seeds, 3 epochs, 1,000 images)"
    assert columns["published_error"].heading == "published (ME-DARTS, Table IV, CIFAR-10)"
    assert columns["published_error"].origin == "published" and columns["error"].origin == "measured here"


def test_on_the_papers_own_data_its_figures_are_of_them_and_in_the_chart():
    def of(dataset):
        return summarize_table4(make_result(make_plan(dataset), lambda t: ERRORS[t.arm.name][t.seed]))

    assert [row["published_error"] for row in of("cifar100").rows] == [17.18, 16.34, 15.68]
    assert of("cifar100").statistics[0].published == pytest.approx(-1.5)
    assert [bar.published for bar in of("cifar10").figure.bars] == pytest.approx([0.0332, 0.0282, 0.026])
    assert [bar.published for bar in of("digits").figure.bars] == [None] * 3


def test_a_failure_leaves_its_network_with_fewer_seeds():
    came = {"g_best.s1": "the loss became NaN"}
    result = make_result(make_plan(), lambda t: came.get(t.key, ERRORS[t.arm.name][t.seed]))
    summary = summarize_table4(result)
    assert summary.rows[2]["error"].n == 2 and summary.rows[2]["difference"].mean == pytest.approx(-0.04)
    assert summary.failures == ("g_best.s1 diverged: the loss became NaN",)


def test_one_seed_has_neither_deviation_nor_difference():
    summary = summarize_table4(make_result(make_plan(seeds=[0]), lambda t: ERRORS[t.arm.name][0]))
    assert summary.rows[2]["error"].std is None and summary.rows[2]["difference"] is None
    assert summary.statistics == ()


def test_a_network_that_is_not_trained_yet_has_an_empty_row():
    summary = summarize_table4(make_result(make_plan(), lambda t: 0.3 if t.arm.name == "g_init" else None))
    assert summary.rows[1]["error"] is None and summary.rows[1]["parameters"] is None
    assert "unfinished: 3 of 9 trainings are done" in summary.notes
