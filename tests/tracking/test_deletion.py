"""Deleting a search or an evaluation out of real stores."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import optuna
import pytest
from factories import make_dataset_summary, make_evaluate_config_tiny, make_genotype, make_search_events
from journals import held_of, make_proposed_events, write_journal
from mlflow import MlflowClient

from medarts_ops.errors import MedartsError, RunError, SearchError, StoreError
from medarts_ops.journal.evaluation_folder import STARTED
from medarts_ops.observers import EvaluationStarted, SearchStarted
from medarts_ops.tracking.deletion import Deleted, deletion_of
from medarts_ops.tracking.runs.evaluation_runs import MlflowEvaluationObserver
from medarts_ops.tracking.stores.opening import open_store
from medarts_ops.tracking.stores.run_store import RunStore
from medarts_ops.tracking.stores.study_storage import open_study_storage
from medarts_ops.tracking.sync import sync_job
from medarts_ops.tracking.vocabulary import SEARCH_TAG

HOLD = (
    "import sys, time; from pathlib import Path; from medarts_ops.journal.lock import job_lock\n"
    "with job_lock(Path(sys.argv[1])):\n print('held', flush=True); time.sleep(60)"
)


class Stores(NamedTuple):
    """A tracking store, a study storage and a work directory."""

    uri: str
    storage: str
    work_dir: Path

    @property
    def store(self) -> RunStore:
        return open_store(self.uri)

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(tracking_uri=self.uri)

    @property
    def studies(self) -> list[str]:
        return sorted(optuna.get_all_study_names(open_study_storage(self.storage)))

    def run_folders(self) -> set[str]:
        return {path.name for path in (self.work_dir.parent / "mlruns" / "medarts").iterdir()}

    def active(self, name: str) -> list[str]:
        condition = f"tags.`{SEARCH_TAG}`='{name}'"
        experiments = [found.experiment_id for found in self.client.search_experiments()]
        return [run.info.run_id for run in self.client.search_runs(experiments, condition)]

    def tell(self, name: str) -> str:
        """A search with proposals of its own in all three; gives its run id."""
        write_journal(self.work_dir, name, make_proposed_events(name))
        return sync_job(self.work_dir, name, tracking_uri=self.uri, storage=self.storage, pictures=False).run_id

    def evaluate(self, name: str, search: str | None) -> str:
        """An evaluation that has begun, with its folder, below a search if there is one; gives its run id."""
        observer = MlflowEvaluationObserver(self.store, name, parent_run_id=search)
        observer.notify(
            EvaluationStarted(
                config=make_evaluate_config_tiny(),
                genotype=make_genotype(),
                parameters=1,
                dataset=make_dataset_summary(),
            )
        )
        (self.work_dir / name).mkdir(parents=True)
        (self.work_dir / name / STARTED).write_text("{}")
        return observer.run_id

    def delete(self, given: str, *, keep_work_dir: bool = False) -> Deleted:
        with deletion_of(
            given,
            tracking_uri=self.uri,
            storage=self.storage,
            work_dir=self.work_dir,
            keep_work_dir=keep_work_dir,
        ) as planned:
            return planned.carry_out()


@pytest.fixture
def stores(tmp_path: Path, template_database: Path) -> Stores:
    shutil.copy(template_database, tmp_path / "mlflow.db")
    return Stores(f"sqlite:///{tmp_path}/mlflow.db", f"sqlite:///{tmp_path}/optuna.db", tmp_path / "work")


def test_a_search_goes_with_runs_artifacts_folders_and_studies_and_another_stays(stores: Stores) -> None:
    stores.tell("other")
    before, folders = held_of(stores.store, "other"), stores.run_folders()
    stores.evaluate("other-evaluation", stores.store.find_run("other").run_id)
    kept = stores.run_folders()
    search = stores.tell("mine")
    evaluation = stores.evaluate("mine-evaluation", search)
    assert stores.studies == ["mine/init", "mine/proposals", "other/init", "other/proposals"]
    deleted = stores.delete("mine")
    assert stores.active("mine") == []
    assert stores.client.get_run(evaluation).info.lifecycle_stage == "deleted"
    assert stores.run_folders() == kept > folders
    assert sorted(path.name for path in stores.work_dir.iterdir()) == ["other", "other-evaluation"]
    assert stores.studies == ["other/init", "other/proposals"]
    assert held_of(stores.store, "other") == before
    assert (len(deleted.run_ids), deleted.run_ids[-1], deleted.artifacts_left) == (6, search, ())


def test_a_plan_lists_what_goes_and_touches_nothing(stores: Stores) -> None:
    search = stores.tell("mine")
    stores.evaluate("mine-evaluation", search)
    before = held_of(stores.store, "mine")
    with deletion_of("mine", tracking_uri=stores.uri, storage=stores.storage, work_dir=stores.work_dir) as planned:
        assert planned.counts == {"search": 1, "stage": 1, "individual": 3, "evaluation": 1}
        assert planned.studies == ("mine/init", "mine/proposals")
        assert {folder.name for folder in planned.folders} == {"mine", "mine-evaluation"}
        files = [path for path in stores.work_dir.rglob("*") if path.is_file()]
        assert planned.folder_bytes == sum(path.stat().st_size for path in files) > 0
    assert held_of(stores.store, "mine") == before
    assert stores.studies == ["mine/init", "mine/proposals"] and (stores.work_dir / "mine").is_dir()


def test_children_go_before_their_parents(stores: Stores) -> None:
    search = stores.tell("mine")
    parents = {run.run_id: run.parent_run_id for run in stores.store.runs_of_search("1", "mine")}
    order = list(stores.delete(search).run_ids)
    for run_id in order[:-1]:
        parent = parents[run_id]
        assert parent is not None and order.index(parent) > order.index(run_id)


@pytest.mark.parametrize("survived", [0, 1, 2, 3, 6, 9, 10, 11, 12, 13, 14])
def test_a_deletion_that_was_cut_off_anywhere_is_completed_by_another(
    survived: int, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = stores.tell("mine")
    steps = iter(range(survived))

    def cut_off(step: object) -> object:
        def instead(*given: object, **named: object) -> object:
            if next(steps, None) is None:
                raise KeyboardInterrupt
            return step(*given, **named)  # type: ignore[operator]

        return instead

    with monkeypatch.context() as patched:
        patched.setattr(RunStore, "delete_run", cut_off(RunStore.delete_run))
        patched.setattr(optuna, "delete_study", cut_off(optuna.delete_study))
        patched.setattr(shutil, "rmtree", cut_off(shutil.rmtree))
        with pytest.raises(KeyboardInterrupt):
            stores.delete("mine")
    assert stores.delete("mine").run_ids[-1] == search
    assert (stores.active("mine"), stores.studies, list(stores.work_dir.iterdir())) == ([], [], [])
    assert stores.run_folders() == set()


def test_a_second_deletion_says_that_there_is_no_such_run(stores: Stores) -> None:
    search = stores.tell("mine")
    stores.delete("mine")
    with pytest.raises(RunError, match="no run 'mine'"):
        stores.delete("mine")
    with pytest.raises(RunError, match=f"run {search} was deleted"):
        stores.delete(search)


def test_the_name_of_a_deleted_search_is_free_again(stores: Stores) -> None:
    stores.tell("mine")
    stores.delete("mine")
    stores.tell("mine")
    assert len(stores.active("mine")) == 5


def test_an_evaluation_goes_alone(stores: Stores) -> None:
    search = stores.tell("mine")
    before = held_of(stores.store, "mine")
    evaluation = stores.evaluate("evaluated", search)
    assert stores.delete(evaluation).run_ids == (evaluation,)
    assert held_of(stores.store, "mine") == before
    assert [path.name for path in stores.work_dir.iterdir()] == ["mine"]
    assert len(stores.studies) == 2


@pytest.mark.parametrize("part", ["stage", "individual"])
def test_a_part_of_a_search_is_refused_with_what_to_do(part: str, stores: Stores) -> None:
    search = stores.tell("mine")
    before = held_of(stores.store, "mine")
    found = next(run for run in stores.store.runs_of_search("1", "mine") if run.kind == part)
    with pytest.raises(RunError, match=f"of kind {part}.*`medarts delete {search}`"):
        stores.delete(found.run_id)
    assert held_of(stores.store, "mine") == before


@pytest.mark.parametrize("at_work", ["mine", "mine-evaluation"])
def test_a_search_at_work_is_refused_with_pid_and_host_and_so_is_one_below_which_an_evaluation_is(
    at_work: str, stores: Stores
) -> None:
    stores.evaluate("mine-evaluation", stores.tell("mine"))
    before = held_of(stores.store, "mine")
    words = [sys.executable, "-c", HOLD, str(stores.work_dir / at_work)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        for keep in (False, True):
            with pytest.raises(SearchError, match=rf"'{at_work}' is at work in process {holder.pid} on '"):
                stores.delete("mine", keep_work_dir=keep)
        holder.kill()
    assert held_of(stores.store, "mine") == before and len(stores.studies) == 2
    stores.delete("mine")


def test_nobody_can_begin_with_a_search_while_its_deletion_is_asked_for(stores: Stores) -> None:
    stores.tell("mine")
    with (
        deletion_of("mine", tracking_uri=stores.uri, storage=stores.storage, work_dir=stores.work_dir),
        pytest.raises(SearchError, match="is at work in process"),
    ):
        sync_job(stores.work_dir, "mine", tracking_uri=stores.uri, storage=stores.storage, pictures=False)


def test_the_work_directory_is_kept_if_asked_and_can_fill_the_stores_again(stores: Stores) -> None:
    stores.tell("mine")
    before = held_of(stores.store, "mine")
    assert stores.delete("mine", keep_work_dir=True).folders == ()
    assert stores.active("mine") == []
    sync_job(stores.work_dir, "mine", tracking_uri=stores.uri, storage=stores.storage, pictures=False)
    assert held_of(stores.store, "mine") == before


def test_a_shared_proposals_study_stays_even_under_the_searchs_own_name(stores: Stores) -> None:
    stores.tell("mine")
    started, *others = make_proposed_events("other")
    assert isinstance(started, SearchStarted)
    proposals = started.config.proposals.model_copy(update={"study": "mine/proposals"})
    config = started.config.model_copy(update={"proposals": proposals})
    write_journal(stores.work_dir, "other", (started.model_copy(update={"config": config}), *others))
    sync_job(stores.work_dir, "other", tracking_uri=stores.uri, storage=stores.storage, pictures=False)
    stores.delete("mine")
    assert stores.studies == ["mine/proposals", "other/init"]
    stores.delete("other")
    assert stores.studies == ["mine/proposals"]


def test_a_storage_that_is_not_there_is_not_made(stores: Stores) -> None:
    write_journal(stores.work_dir, "mine", make_search_events("mine"))
    elsewhere = f"sqlite:///{stores.work_dir.parent}/missing.db"
    sync_job(stores.work_dir, "mine", tracking_uri=stores.uri, storage=stores.storage, pictures=False)
    stores._replace(storage=elsewhere).delete("mine")
    assert not (stores.work_dir.parent / "missing.db").exists()


def test_tags_that_somebody_wrote_lead_out_of_no_folder(stores: Stores) -> None:
    search = stores.tell("mine")
    for name in ("victim", ".victim.deleted"):
        (stores.work_dir.parent / name).mkdir()
        (stores.work_dir.parent / name / "journal.jsonl").touch()
    stores.client.set_tag(search, SEARCH_TAG, "../victim")
    stores.delete(search)
    assert (stores.work_dir.parent / "victim").is_dir() and (stores.work_dir.parent / ".victim.deleted").is_dir()
    assert (stores.work_dir / "mine").is_dir()


def test_of_two_searches_of_one_name_only_the_runs_below_the_one_go(stores: Stores) -> None:
    first, second = stores.tell("mine"), stores.tell("other")
    stores.client.set_tag(second, SEARCH_TAG, "mine")
    deleted = stores.delete(first)
    assert stores.active("mine") == [second]
    assert len(deleted.run_ids) == 5 and len(stores.active("other")) == 4
    assert (deleted.studies, deleted.folders, (stores.work_dir / "mine").is_dir()) == ((), (), True)


def test_artifacts_that_lie_elsewhere_are_left_to_mlflow_and_said(stores: Stores) -> None:
    experiment = stores.client.create_experiment("far", artifact_location="s3://bucket/far")
    run = stores.client.create_run(experiment, tags={"medarts.kind": "evaluation"}).info.run_id
    assert stores.delete(run).artifacts_left == (run,)
    assert stores.client.get_run(run).info.lifecycle_stage == "deleted"


def test_mlflows_own_clean_up_goes_through_what_was_deleted(stores: Stores) -> None:
    search = stores.tell("mine")
    stores.delete("mine")
    words = [sys.executable, "-m", "mlflow", "gc", "--backend-store-uri", stores.uri, "--tracking-uri", stores.uri]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False, cwd=stores.work_dir)
    assert done.returncode == 0, done.stderr
    with pytest.raises(MedartsError, match="no run"):
        stores.store.find_run(search)


def test_a_folder_that_cannot_be_removed_leaves_the_search_to_be_deleted_again(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores.tell("mine")

    def refuse(self: Path, target: Path) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", refuse)
        with pytest.raises(SearchError, match="can't be removed: Permission denied; .*--keep-work-dir"):
            stores.delete("mine")
    assert stores.delete("mine").artifacts_left == ()


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    stores = Stores(f"sqlite:///{tmp_path}/mlflow.db", f"sqlite:///{tmp_path}/optuna.db", tmp_path / "work")
    with pytest.raises(StoreError, match="there is no store"):
        stores.delete("mine")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_a_job_of_another_kind_is_not_removed_with_a_run_of_its_name(stores: Stores) -> None:
    run_id = stores.evaluate("mine", None)
    shutil.rmtree(stores.work_dir / "mine")
    write_journal(stores.work_dir, "mine", make_search_events("mine"))
    with pytest.raises(SearchError, match=rf"is of kind search, and run {run_id} .* is of kind evaluation: rename"):
        stores.delete(run_id)
    assert (stores.work_dir / "mine").is_dir() and stores.client.get_run(run_id).info.lifecycle_stage == "active"
    assert stores.delete(run_id, keep_work_dir=True).folders == ()
    assert (stores.work_dir / "mine").is_dir()
