"""The rows of the report's tables."""

from __future__ import annotations

from report.reports import make_report

from medarts_ops.config import SearchConfig
from medarts_ops.report.tables import changed_settings, settings_table, stage_view


def test_a_default_config_has_no_changed_setting() -> None:
    assert changed_settings(SearchConfig()) == ()


def test_a_changed_setting_stands_beside_its_default() -> None:
    (line,) = changed_settings(SearchConfig(seed=7))
    assert (line.path, line.value, line.default, line.origin) == ("seed", 7, 0, "ours")


def test_a_stage_beyond_the_default_ones_is_changed_and_has_no_default() -> None:
    config = SearchConfig()
    longer = config.model_copy(update={"stages": (*config.stages, config.stages[-1])})
    added = [line for line in changed_settings(longer) if line.path.startswith("stages.3.")]
    assert added and all(line.default is None for line in added)
    assert len(settings_table(longer)) == len(settings_table(config)) + len(added)


def test_hyperparameters_are_columns_only_where_they_differ() -> None:
    report = make_report()
    first, *others = report.stages[0].ranked
    assert stage_view(report, report.stages[0]).varied == ()
    faster = first.trained.individual.hyperparameters.model_copy(update={"alpha_lr": 0.1})
    individual = first.trained.individual.model_copy(update={"hyperparameters": faster})
    trained = first.trained.model_copy(update={"individual": individual})
    changed = first.model_copy(update={"evaluated": first.evaluated.model_copy(update={"trained": trained})})
    stage = report.stages[0].model_copy(update={"ranked": (changed, *others)})
    assert stage_view(report, stage).varied == ("alpha_lr",)


def test_shares_of_the_cost_sum_to_one() -> None:
    report = make_report()
    assert sum(stage_view(report, stage).share for stage in report.stages) == 1.0
