"""Plans of the paper's tables and figures: networks from the store, the zoo or chance; bad input is one line."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from factories import make_evaluate_config_tiny, make_search_config_tiny

from medarts_ops import ArmSettings, AskedNetworks, reproduce, sweep
from medarts_ops.config import EvaluateConfig
from medarts_ops.errors import ConfigError, DataError, GenotypeError, RunError, SearchError
from medarts_ops.experiment import ExperimentPlan
from medarts_ops.observers import IndividualFinished, SearchEvent
from medarts_ops.space.zoo import zoo_genotype
from medarts_ops.tracking.reproduction import reproduction
from medarts_ops.tracking.search import TrackedSearch, tracked_search

CONFIG = EvaluateConfig.model_validate(make_evaluate_config_tiny().model_dump() | {"epochs": 1})


class Place(NamedTuple):
    """A store with a finished search `done` and one that was stopped, `cut`."""

    folder: Path
    uri: str
    found: TrackedSearch

    def plan(self, kind: Any, config: EvaluateConfig = CONFIG, **asked: Any) -> ExperimentPlan:
        usual = {"seeds": [0], "scale": "own", "tracking_uri": self.uri, "work_dir": self.folder / "work"}
        networks = AskedNetworks(**{key: value for key, value in asked.items() if key in AskedNetworks._fields})
        how = usual | {key: value for key, value in asked.items() if key not in AskedNetworks._fields}
        return reproduction(kind, config, networks, **how)


class Stop:
    def notify(self, event: SearchEvent) -> None:
        if isinstance(event, IndividualFinished):
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, template_database: Path) -> Place:
    folder = tmp_path_factory.mktemp("reproduction")
    uri = f"sqlite:///{shutil.copy(template_database, folder / 'mlflow.db')}"
    stores = {
        "tracking_uri": uri,
        "storage": f"sqlite:///{folder / 'optuna.db'}",
        "work_dir": folder / "work",
        "pictures": False,
    }
    found = tracked_search(make_search_config_tiny(), name="done", **stores)
    with pytest.raises(KeyboardInterrupt):
        tracked_search(make_search_config_tiny(1), name="cut", observers=[Stop()], **stores)
    return Place(folder, uri, found)


class TestTable4:
    def test_the_line_of_descent_is_what_the_search_says(self, place):
        plan = place.plan("table4", search="done")
        line = [arm.source.individual for arm in plan.arms if arm.source is not None]
        assert [arm.subject for arm in plan.arms] == ["g_init", "g_mid", "g_best"]
        assert line[-1] == place.found.result.best.id
        individuals = {ranked.id: ranked for stage in place.found.result.stages for ranked in stage.ranked}
        for parent, child in zip(line, line[1:], strict=False):
            assert individuals[child].trained.individual.parents[0] == parent
        for arm in plan.arms:
            assert arm.source is not None
            assert arm.genotype == individuals[arm.source.individual].trained.genotype
            assert arm.source.run_id == place.found.run_ids[arm.source.individual]

    def test_it_is_found_in_the_store_alone_too(self, place):
        here = place.plan("table4", search="done")
        assert place.plan("table4", search=place.found.run_id, work_dir=place.folder / "elsewhere").arms == here.arms

    def test_one_that_is_not_finished_is_refused_with_how_to_go_on(self, place):
        with pytest.raises(SearchError, match="'cut' is not finished.*`medarts resume cut` goes on"):
            place.plan("table4", search="cut")

    def test_a_stage_is_no_search(self, place):
        with pytest.raises(RunError, match="allowed is a whole search, done"):
            place.plan("table4", search=place.found.run_ids["final-00"])

    def test_none_is_refused(self, place):
        with pytest.raises(ConfigError, match="table4 needs the search"):
            place.plan("table4")


class TestTable3:
    def test_found_and_published_ones_stand_side_by_side(self, place):
        plan = place.plan("table3", run_ids=["done", place.found.run_ids["init-00"]], zoo=["darts_v2"])
        assert [arm.subject for arm in plan.arms] == ["done", "done/init-00", "DARTS_V2"]
        assert plan.arms[0].genotype == place.found.result.best.trained.genotype
        assert plan.arms[0].search_seconds == pytest.approx(place.found.result.seconds)
        assert plan.arms[2].published_as == "DARTS"

    def test_nothing_to_train_is_refused(self, place):
        with pytest.raises(ConfigError, match="give RUN_IDs, or --zoo NAME"):
            place.plan("table3")

    def test_an_unknown_one_is_refused_with_the_near_miss(self, place):
        with pytest.raises(GenotypeError, match="did you mean 'DARTS_V2'"):
            place.plan("table3", zoo=["DARTS_V3"])

    def test_a_search_that_found_nothing_yet_is_refused(self, place):
        with pytest.raises(RunError, match="has no genotype.*`medarts resume cut`"):
            place.plan("table3", run_ids=["cut"])


class TestFigures:
    def test_random_networks_are_the_same_for_all_figures_and_seeds(self, place):
        fig5 = place.plan("fig5", n=3, sizes=[200, 400])
        fig6 = place.plan("fig6", CONFIG.model_copy(update={"dataset": enlarged()}), n=3, seeds=[4])
        assert {arm.genotype for arm in fig5.arms} == {arm.genotype for arm in fig6.arms}
        assert len({arm.genotype for arm in fig5.arms}) == 3

    def test_networks_of_a_search_are_its_different_ones_the_last_stage_first(self, place):
        distinct = {r.trained.genotype.identity for stage in place.found.result.stages for r in stage.ranked}
        n = len(distinct)
        assert n >= 3
        plan = place.plan("fig5", of="done", n=n, sizes=[200, 400])
        assert len({arm.genotype.identity for arm in plan.arms if arm.genotype}) == n
        assert plan.arms[0].subject == place.found.result.stages[-1].ranked[0].id

    def test_fig6_has_images_of_half_the_side_and_half_the_cutout(self, place):
        plan = place.plan("fig6", CONFIG.model_copy(update={"dataset": enlarged()}), n=3)
        low, full = plan.arms[0], plan.arms[-1]
        assert [arm.evaluation.dataset.resolution for arm in (low, full) if arm.evaluation] == [8, 16]
        assert [plan.datasets[arm.fingerprint].resolution for arm in (low, full)] == [(8, 8), (16, 16)]

    @pytest.mark.parametrize(
        ("asked", "said"),
        [
            ({"n": 2, "sizes": [200, 400]}, "networks"),
            ({"n": 3, "sizes": [200, 100_000]}, "1,438"),
            ({"n": 3, "sizes": [5, 400]}, "20"),
        ],
        ids=["two networks", "more images than there are", "fewer than two of each class"],
    )
    def test_what_can_have_no_correlation_is_refused(self, place, asked, said):
        with pytest.raises((ConfigError, DataError), match=said):
            place.plan("fig5", **asked)

    def test_more_images_than_there_are_are_refused(self, place):
        with pytest.raises(DataError, match="images"):
            place.plan("table3", CONFIG.model_copy(update={"images": 100_000}), zoo=["SNAS"])

    def test_a_batch_that_the_auxiliary_head_cannot_take_is_refused_before_anything_is_trained(self, place):
        auxiliary = CONFIG.auxiliary.model_copy(update={"weight": 0.4})
        with pytest.raises(ConfigError, match="batch is 1"):
            place.plan("table3", CONFIG.model_copy(update={"auxiliary": auxiliary, "batch": 1}), zoo=["SNAS"])


def enlarged() -> Any:
    return CONFIG.dataset.model_copy(update={"resolution": 16})


def test_from_python_a_table_comes_back_as_a_data_frame(place, tmp_path):
    found = reproduce(
        "table3",
        CONFIG.model_copy(update={"images": 200}),
        AskedNetworks(zoo=["SNAS"]),
        seeds=[0, 1],
        tracking_uri=place.uri,
        work_dir=tmp_path,
        pictures=False,
    )
    frame = found.table()
    assert frame.loc[0, "architecture"] == "SNAS"
    assert frame.loc[0, "error_n"] == 2
    assert frame.loc[0, "published_error"] == 2.85


def test_from_python_settings_are_compared(place, tmp_path):
    config = CONFIG.model_copy(update={"images": 200})
    faster = config.model_copy(update={"weights": config.weights.model_copy(update={"lr": 0.1})})
    arms = [ArmSettings(f"lr {one.weights.lr}", None, one, zoo_genotype("SNAS")) for one in (config, faster)]
    found = sweep(arms, seeds=[0, 1], tracking_uri=place.uri, work_dir=tmp_path, pictures=False)
    assert [arm.name for arm in found.result.plan.arms] == ["lr-0.025", "lr-0.1"]
    assert found.table()["difference_n"].tolist()[1] == 2


def test_an_arm_without_settings_is_refused():
    with pytest.raises(ConfigError, match="arm 'nothing' has no settings"):
        sweep([ArmSettings("nothing")], seeds=[0])
