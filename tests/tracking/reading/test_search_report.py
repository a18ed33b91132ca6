"""Reports gathered from journals and stores, and logged with the search's run."""

from __future__ import annotations

import logging
import math
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from factories import make_evaluate_config_tiny, make_genotype, make_search_config_tiny, make_search_events
from journals import write_journal

from medarts_ops.errors import RunError, SearchError
from medarts_ops.evolution.stop_rule import Stop
from medarts_ops.individual import EvaluatedIndividual
from medarts_ops.journal.evaluation_folder import RESULT, STARTED
from medarts_ops.journal.journal import JOURNAL_NAME
from medarts_ops.observers import IndividualFinished, SearchEvent, SearchFinished, SearchStarted, StageStarted
from medarts_ops.report import page
from medarts_ops.tracking.evaluation import tracked_evaluation
from medarts_ops.tracking.reading.search_report import is_run_of, search_report
from medarts_ops.tracking.runs.picture_log import evaluated_sizes
from medarts_ops.tracking.runs.report_log import renew_report
from medarts_ops.tracking.search import tracked_search
from medarts_ops.tracking.stores.opening import open_store
from medarts_ops.tracking.stores.run_store import RunStore
from medarts_ops.tracking.sync import sync_job
from medarts_ops.tracking.vocabulary import REPORT


class Place:
    """A store and a work directory with the search `mine`, as far as `n` of its events."""

    def __init__(self, folder: Path, store: RunStore, n: int | None = None) -> None:
        self.work_dir, self.uri, self.store = folder / "work", store.uri, store
        write_journal(self.work_dir, "mine", make_search_events("mine")[:n])
        storage = f"sqlite:///{folder / 'optuna.db'}"
        synced = sync_job(self.work_dir, "mine", tracking_uri=self.uri, storage=storage, pictures=False)
        self.run_id = synced.run_id

    def report(self, given: str = "mine"):  # type: ignore[no-untyped-def]
        return search_report(given, tracking_uri=self.uri, work_dir=self.work_dir)[0]


def test_a_report_holds_what_the_journal_and_the_store_say(tmp_path: Path, store: RunStore) -> None:
    place = Place(tmp_path, store)
    report = place.report()
    assert (report.search_id, report.state, report.run_id) == ("mine", "finished", place.run_id)
    assert [stage.name for stage in report.stages] == ["init"]
    assert (report.images, report.stops) == ({0: 80}, {})
    runs = {run.name: run.run_id for run in store.runs_of_search(store.experiment_id(), "mine")}
    assert report.run_ids == {name: runs[name] for name in ("init-00", "init-01", "init-02")}


def test_what_was_found_is_what_the_search_chose_by_its_own_rule(tmp_path: Path, store: RunStore) -> None:
    place = Place(tmp_path, store, -1)
    *before, finished = make_search_events("mine")
    assert isinstance(finished, SearchFinished)
    other = next(one.id for one in finished.result.stages[0].ranked if one.id != finished.result.best.id)
    result = finished.result.model_copy(update={"chosen": other, "rule": "highest 2 · params of all stages"})
    shutil.rmtree(place.work_dir)
    write_journal(place.work_dir, "mine", (*before, SearchFinished(result=result)))
    report = place.report()
    assert report.result is not None and report.result.best.id == other
    text = page.report_html(report)
    assert f"{other}, chosen by highest 2 · params of all stages" in text and "highest accuracy" not in text


def test_it_says_when_darts_plus_would_have_stopped_an_individual(
    tmp_path: Path, store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = make_search_events

    def with_skips(name: str) -> list[SearchEvent]:
        return [second_epoch_has_two_skips(event) for event in usual(name)]

    monkeypatch.setattr(sys.modules[__name__], "make_search_events", with_skips)
    assert Place(tmp_path, store).report().stops == {"init-00": Stop(1, "skips")}


def second_epoch_has_two_skips(event: SearchEvent) -> SearchEvent:
    """What came of init-00, with two skip-connections after its second epoch."""
    if not isinstance(event, IndividualFinished) or not isinstance(event.outcome, EvaluatedIndividual):
        return event
    trained = event.outcome.trained
    if trained.individual.id != "init-00":
        return event
    history = tuple(each.model_copy(update={"normal_skips": 2 * each.epoch}) for each in trained.history)
    trained = trained.model_copy(update={"history": history})
    return event.model_copy(update={"outcome": event.outcome.model_copy(update={"trained": trained})})


def test_any_run_of_the_search_means_the_search(tmp_path: Path, store: RunStore) -> None:
    place = Place(tmp_path, store)
    for given in (place.run_id, *place.report().run_ids.values()):
        assert place.report(given) == place.report()


def test_a_search_that_was_cut_off_is_reported_as_far_as_it_came(tmp_path: Path, store: RunStore) -> None:
    report = Place(tmp_path, store, n=5).report()
    assert (report.state, report.stages, report.result) == ("unfinished", (), None)


def test_without_its_work_directory_the_runs_own_journal_tells(tmp_path: Path, store: RunStore) -> None:
    place = Place(tmp_path, store)
    whole = place.report()
    shutil.rmtree(place.work_dir)
    assert place.report(place.run_id) == whole


def test_a_folder_of_the_same_name_that_is_another_searchs_is_left_alone(tmp_path: Path, store: RunStore) -> None:
    place = Place(tmp_path, store)
    store.log_file(place.run_id, place.work_dir / "mine" / JOURNAL_NAME)
    started, *others = make_search_events("mine")
    assert isinstance(started, SearchStarted)
    other = started.model_copy(update={"config": started.config.model_copy(update={"seed": 99})})
    shutil.rmtree(place.work_dir)
    write_journal(place.work_dir, "mine", (other, *others))
    assert place.report(place.run_id).config.seed == 0


def started() -> SearchStarted:
    event = make_search_events("mine")[0]
    assert isinstance(event, SearchStarted)
    return event


def test_a_run_of_an_older_release_is_known_by_the_settings_that_it_has(tmp_path: Path, store: RunStore) -> None:
    place = Place(tmp_path, store)
    run, came_later = store.find_run(place.run_id), ("holdout_share", "stages.0.batch", "runtime.stack")
    older = replace(run, params={key: value for key, value in run.params.items() if key not in came_later})
    assert is_run_of(started(), run) and is_run_of(started(), older)
    assert not is_run_of(started(), replace(older, params={**older.params, "seed": "99"}))
    assert not is_run_of(started(), replace(older, params={}))


def test_a_run_of_a_search_with_fewer_stages_is_another_searchs(tmp_path: Path, store: RunStore) -> None:
    place = Place(tmp_path, store)
    run = store.find_run(place.run_id)
    shorter = {key: value for key, value in run.params.items() if not key.startswith("stages.2.")}
    assert not is_run_of(started(), replace(run, params=shorter))


def test_a_search_is_found_by_its_name_whatever_its_run_is_called_now(tmp_path: Path, store: RunStore) -> None:
    place = Place(tmp_path, store)
    store.set_tags(place.run_id, {"mlflow.runName": "renamed"})
    assert place.report("mine").run_id == place.run_id


def test_an_evaluation_that_can_not_be_read_is_left_out_with_a_warning(
    tmp_path: Path, store: RunStore, caplog: pytest.LogCaptureFixture
) -> None:
    place = Place(tmp_path, store)
    evaluation = store.create_run(
        experiment_id=store.experiment_id(),
        kind="evaluation",
        name="newer",
        parent_run_id=place.run_id,
        tags={"medarts.evaluation_id": "newer"},
        params={},
    )
    for file in (STARTED, RESULT):
        store.log_text(evaluation, file, '{"format": "medarts-evaluation", "version": 99}')
    store.finish(evaluation, "FINISHED")
    assert place.report().evaluations == ()
    assert caplog.messages[0].startswith(f"evaluation {evaluation} is left out of the report")


def test_a_report_is_made_of_what_can_be_read(tmp_path: Path, store: RunStore) -> None:
    place = Place(tmp_path, store)
    evaluation = store.create_run(
        experiment_id=store.experiment_id(),
        kind="evaluation",
        name="linked",
        parent_run_id=place.run_id,
        tags={"medarts.evaluation_id": "linked"},
        params={},
    )
    store.log_json(evaluation, "config.json", {})
    store.finish(evaluation, "FINISHED")
    whole = place.report()
    store._client.delete_run(whole.run_ids["init-00"])
    for run_id in (place.run_id, evaluation):
        (config,) = tmp_path.glob(f"mlruns/medarts/{run_id}/artifacts/config.json")
        config.unlink()
        config.symlink_to("nothing")
    left = {name: run_id for name, run_id in whole.run_ids.items() if name != "init-00"}
    assert place.report() == replace(whole, run_ids=left)
    assert left["init-01"] in page.report_html(place.report())


def test_a_journal_whose_stage_never_began_is_refused(tmp_path: Path, store: RunStore) -> None:
    place = Place(tmp_path, store)
    without = [event for event in make_search_events("mine") if not isinstance(event, StageStarted)]
    shutil.rmtree(place.work_dir)
    write_journal(place.work_dir, "mine", without)
    with pytest.raises(SearchError, match="has a stage that never began"):
        place.report()


def test_numbers_that_are_none_put_no_evaluation_beside_others(store: RunStore) -> None:
    for name, params, error in (("good", 1e6, 0.1), ("infinite", math.inf, 0.1), ("nan", math.nan, 0.1)):
        tags = {"medarts.fingerprint": "images"}
        run = store.create_run(experiment_id=store.experiment_id(), kind="evaluation", name=name, tags=tags, params={})
        # Past our own filter: other programs may write into the store.
        store._client.log_metric(run, "params", params)
        store._client.log_metric(run, "test_error", error)
    assert [one.name for one in evaluated_sizes(store, store.experiment_id(), "images")] == ["good"]


def test_without_any_journal_there_is_no_report(tmp_path: Path, store: RunStore) -> None:
    place = Place(tmp_path, store, n=2)
    shutil.rmtree(place.work_dir)
    with pytest.raises(SearchError, match="keeps no journal"):
        place.report(place.run_id)


def test_a_report_that_can_not_be_made_is_a_warning(
    tmp_path: Path, store: RunStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object) -> None:
        raise ValueError("no font")

    place = Place(tmp_path, store)
    monkeypatch.setattr(page, "report_html", fails)
    with caplog.at_level(logging.WARNING):
        renew_report(store, place.run_id, place.work_dir)
    (said,) = caplog.messages
    assert "no font" in said and f"medarts report {place.run_id}" in said
    assert REPORT not in store.artifacts_in(place.run_id, "")


@pytest.mark.slow
def test_a_search_logs_its_report_and_each_evaluation_renews_it(tmp_path: Path, template_database: Path) -> None:
    uri = f"sqlite:///{shutil.copy(template_database, tmp_path)}"
    storage, work_dir = f"sqlite:///{tmp_path / 'optuna.db'}", tmp_path / "work"
    found = tracked_search(make_search_config_tiny(), name="mine", tracking_uri=uri, storage=storage, work_dir=work_dir)
    store = open_store(uri)

    def text() -> str:
        (tmp_path / "copy").mkdir(exist_ok=True)
        return store.download(found.run_id, REPORT, tmp_path / "copy", 2**23).read_text(encoding="utf-8")

    before = text()
    assert "mid-00" in before and "Evaluations" not in before
    evaluation = make_evaluate_config_tiny()
    trained = tracked_evaluation(evaluation, run_id=found.run_id, name="big", tracking_uri=uri, work_dir=work_dir)
    assert trained.run_id in text()
    report, _ = search_report("big", tracking_uri=uri, work_dir=work_dir)
    assert (report.search_id, [one.name for one in report.evaluations]) == ("mine", ["big"])
    assert report.evaluations[0].result == trained.result
    assert report.record is not None and report.record.seed == 0
    names = ("genotype", "training", "confusion", "mistakes")  # digits have no published sizes to stand beside
    pictures = store.artifacts_in(trained.run_id, "pictures")
    assert set(pictures) == {f"pictures/{name}.png" for name in names}


@pytest.mark.slow
def test_an_evaluation_of_a_given_genotype_has_no_report(tmp_path: Path, template_database: Path) -> None:
    uri = f"sqlite:///{shutil.copy(template_database, tmp_path)}"
    tracked_evaluation(
        make_evaluate_config_tiny(),
        genotype=make_genotype(),
        name="alone",
        tracking_uri=uri,
        work_dir=tmp_path / "work",
        pictures=False,
    )
    with pytest.raises(RunError, match="given by hand and belongs to no search"):
        search_report("alone", tracking_uri=uri, work_dir=tmp_path / "work")
