"""Pictures in the runs that they are about: all of them, once, and none that stops a search."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from factories import make_search_events
from matplotlib.figure import Figure
from PIL import Image

from medarts_ops.errors import StoreError
from medarts_ops.individual import EvaluatedIndividual
from medarts_ops.observers import EpochFinished, FanOut, IndividualFinished, SearchEvent
from medarts_ops.patient_observer import PatientObserver
from medarts_ops.pictures import gallery
from medarts_ops.tracking.runs.picture_log import SearchPictures
from medarts_ops.tracking.runs.search_runs import MlflowSearchObserver
from medarts_ops.tracking.stores.opening import open_store
from medarts_ops.tracking.stores.run_store import RunStore
from medarts_ops.tracking.vocabulary import PICTURES as FOLDER

Tell = Callable[[tuple[SearchEvent, ...]], MlflowSearchObserver]


class Drawn(NamedTuple):
    """A store after a search of two stages with pictures, and what wrote them; for tests that only read."""

    store: RunStore
    observer: MlflowSearchObserver


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory, template_database: Path, events: tuple[SearchEvent, ...]) -> Drawn:
    file = shutil.copy(template_database, tmp_path_factory.mktemp("drawn"))
    store = open_store(f"sqlite:///{file}")
    observer = MlflowSearchObserver(store)
    told(store, observer, with_alphas(events))
    return Drawn(store, observer)


@pytest.fixture(scope="module")
def short() -> tuple[SearchEvent, ...]:
    """A search of one stage, where what is drawn of a second would be the same."""
    return make_search_events()


def told(store: RunStore, observer: MlflowSearchObserver, events: tuple[SearchEvent, ...]) -> None:
    pictures = SearchPictures(store, observer)
    for event in events:
        observer.notify(event)
        pictures.notify(event)


def with_alphas(events: tuple[SearchEvent, ...]) -> tuple[SearchEvent, ...]:
    """The same search, in which `init-00` kept its α of each epoch."""
    return tuple(_with_alphas(event) if isinstance(event, IndividualFinished) else event for event in events)


def _with_alphas(event: IndividualFinished) -> IndividualFinished:
    if event.individual.id != "init-00" or not isinstance(event.outcome, EvaluatedIndividual):
        return event
    trained = event.outcome.trained
    history = tuple(record.model_copy(update={"alpha": trained.alpha}) for record in trained.history)
    kept = trained.model_copy(update={"history": history})
    return IndividualFinished(outcome=event.outcome.model_copy(update={"trained": kept}))


def pictures_of(store: RunStore, run_id: str) -> set[str]:
    return {path.removeprefix(f"{FOLDER}/") for path in store.artifacts_in(run_id, FOLDER)}


def test_an_individual_has_its_cells_its_alpha_and_its_training(drawn: Drawn) -> None:
    store, observer = drawn
    usual = {"genotype.png", "alpha.png", "training.png"}
    assert pictures_of(store, observer.run_id_of("init-00")) == usual | {"alpha-epochs.png"}
    assert pictures_of(store, observer.run_id_of("init-01")) == usual
    assert pictures_of(store, observer.run_id_of("init-02")) == set()  # it failed


def test_a_stage_has_its_front_and_its_best(drawn: Drawn) -> None:
    store, observer = drawn
    for stage in (0, 1):
        assert pictures_of(store, observer.stage_run_id(stage)) == {"front.png", "front.html", "genotype.png"}


def test_the_page_of_a_front_names_the_runs(drawn: Drawn, tmp_path: Path) -> None:
    store, observer = drawn
    page = store.download(observer.stage_run_id(1), f"{FOLDER}/front.html", tmp_path, 2**23).read_text(encoding="utf-8")
    assert observer.run_id_of("final-02") in page


def test_a_search_has_its_family_tree_and_its_genotype(drawn: Drawn, tmp_path: Path) -> None:
    store, observer = drawn
    assert pictures_of(store, observer.run_id) == {"lineage.png", "genotype.png"}
    with Image.open(store.download(observer.run_id, f"{FOLDER}/lineage.png", tmp_path, 2**23)) as image:
        image.verify()
        assert image.format == "PNG"


def fails(*_: object) -> None:
    raise ValueError("no font")


def test_told_again_nothing_is_drawn_that_is_there(
    drawn: Drawn,
    events: tuple[SearchEvent, ...],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(gallery, "genotype_figure", fails)
    with caplog.at_level(logging.WARNING):
        told(drawn.store, MlflowSearchObserver(drawn.store), with_alphas(events))
    assert caplog.messages == []


def test_a_picture_that_fails_is_named_and_the_others_are_drawn(
    store: RunStore,
    observer: MlflowSearchObserver,
    short: tuple[SearchEvent, ...],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(gallery, "genotype_figure", fails)
    with caplog.at_level(logging.WARNING):
        told(store, observer, short)
    run_id = observer.run_id_of("init-00")
    assert f"picture pictures/genotype.png of run {run_id} is not logged: no font" in caplog.messages
    assert pictures_of(store, run_id) == {"alpha.png", "training.png"}


def test_so_is_one_that_fails_while_it_is_rendered(
    store: RunStore,
    observer: MlflowSearchObserver,
    short: tuple[SearchEvent, ...],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(Figure, "savefig", fails)
    with caplog.at_level(logging.WARNING):
        told(store, observer, short)
    assert pictures_of(store, observer.stage_run_id(0)) == {"front.html"}
    assert store.find_run(observer.run_id).status == "FINISHED"


def test_a_store_that_does_not_take_a_picture_holds_nothing_up(
    store: RunStore,
    observer: MlflowSearchObserver,
    short: tuple[SearchEvent, ...],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def too_large(*_: object) -> None:
        raise StoreError("413: too large")

    monkeypatch.setattr(store, "log_bytes", too_large)
    patient = PatientObserver[SearchEvent](FanOut[SearchEvent]([observer, SearchPictures(store, observer)]))
    for event in short:
        patient.notify(event)
    assert patient.waiting == 0
    assert store.find_run(observer.run_id).status == "FINISHED"
    assert any("413: too large" in message for message in caplog.messages)
    monkeypatch.undo()
    told(store, MlflowSearchObserver(store), short)  # as `medarts sync` does
    assert pictures_of(store, observer.run_id) == {"lineage.png", "genotype.png"}


def test_epochs_and_populations_are_left_alone(store: RunStore, events: tuple[SearchEvent, ...]) -> None:
    observer = MlflowSearchObserver(store)
    told(store, observer, tuple(event for event in events[:4] if not isinstance(event, IndividualFinished)))
    assert isinstance(events[3], EpochFinished)
    assert pictures_of(store, observer.run_id_of("init-00")) == set()
