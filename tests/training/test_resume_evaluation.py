"""An evaluation that was stopped goes on to the result of one that never was."""

from __future__ import annotations

import hashlib
import io
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from factories import make_evaluate_config_tiny, make_genotype
from journals import without_digests

from medarts_ops.config import AuxiliaryConfig
from medarts_ops.data.registry import load_dataset
from medarts_ops.errors import ConfigError, DataError, SearchError
from medarts_ops.evaluation import resume_evaluation, run_evaluation
from medarts_ops.individual import EvaluationResult
from medarts_ops.journal.checkpoint import CheckpointFile
from medarts_ops.journal.evaluation_folder import CHECKPOINT, RESULT, STARTED, WEIGHTS, read_evaluation
from medarts_ops.journal.job import is_unfinished, kind_in
from medarts_ops.journal.journal import JOURNAL_NAME, Journal
from medarts_ops.journal.kinds import EVALUATION, SEARCH
from medarts_ops.journal.lock import job_lock
from medarts_ops.observers import (
    EvaluationEpochFinished,
    EvaluationEvent,
    EvaluationFinished,
    EvaluationStarted,
    EvaluationStopped,
)

CONFIG = make_evaluate_config_tiny()
GENOTYPE = make_genotype("sep_conv_3x3", nodes=2)


class Interrupt:
    """Raises at the `at`-th event, as Ctrl-C would."""

    def __init__(self, at: int) -> None:
        self.left = at

    def notify(self, event: EvaluationEvent) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


class Listener:
    def __init__(self) -> None:
        self.events: list[EvaluationEvent] = []

    def notify(self, event: EvaluationEvent) -> None:
        self.events.append(event)


def told(result: EvaluationResult) -> list[dict[str, Any]]:
    return [record.model_dump(exclude={"seconds", "images_per_second"}) for record in result.history]


def as_earlier_releases(folder: Path) -> None:
    """Leave what a release before journals would have left of an evaluation."""
    (folder / JOURNAL_NAME).unlink()


def stopped(folder: Path, at: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_evaluation(CONFIG, GENOTYPE, folder=folder, observers=[Interrupt(at)])


@pytest.fixture(scope="module")
def whole() -> EvaluationResult:
    return run_evaluation(CONFIG, GENOTYPE)


@pytest.mark.parametrize("at", [1, 2, 3, 4, 5])
def test_stopped_at_any_event_and_resumed_it_ends_as_if_it_never_was(tmp_path, whole, at):
    stopped(tmp_path, at)
    listener = Listener()
    assert told(resume_evaluation(tmp_path, observers=[listener])) == told(whole)
    assert isinstance(listener.events[0], EvaluationStarted)
    epochs = [event.record.epoch for event in listener.events if isinstance(event, EvaluationEpochFinished)]
    assert epochs == [0, 1, 2]


@pytest.mark.parametrize("weight", [0.0, 0.4], ids=["without a head", "with one"])
@pytest.mark.parametrize("at", [1, 3])
def test_a_last_batch_of_one_image_trains_and_resumes(tmp_path, weight, at):
    update = {"batch": 89, "auxiliary": AuxiliaryConfig(weight=weight)}
    config = CONFIG.model_copy(update=update | {"dataset": CONFIG.dataset.model_copy(update={"test_share": 0.9})})
    assert len(load_dataset(config.dataset).train) % config.batch == 1
    with pytest.raises(KeyboardInterrupt):
        run_evaluation(config, GENOTYPE, folder=tmp_path, observers=[Interrupt(at)])
    assert told(resume_evaluation(tmp_path)) == told(run_evaluation(config, GENOTYPE))


def test_batches_of_one_image_are_refused_where_the_heads_norm_would_see_one_value(tmp_path):
    config = CONFIG.model_copy(update={"batch": 1, "auxiliary": AuxiliaryConfig()})
    with pytest.raises(ConfigError, match=r"batch is 1 and auxiliary.weight 0.4: .* 2 images a step or more; raise"):
        run_evaluation(config, GENOTYPE, folder=tmp_path)
    assert kind_in(tmp_path) is None


def test_it_begins_with_the_mean_and_std_of_its_images(tmp_path):
    listener = Listener()
    run_evaluation(CONFIG, GENOTYPE, folder=tmp_path, observers=[listener])
    pixels = load_dataset(CONFIG.dataset).train.images / 255
    begun = listener.events[0]
    assert begun == read_evaluation(tmp_path)[0]
    assert begun.mean == pytest.approx([pixels.mean()]) and begun.std == pytest.approx([pixels.std()])


def test_one_that_kept_no_mean_and_std_goes_on_from_its_checkpoint(tmp_path, whole, caplog):
    caplog.set_level("INFO")
    stopped(tmp_path, 5)
    path = tmp_path / STARTED
    as_earlier_releases(tmp_path)
    added_later = (
        r',"(mean|std|remarks|class_counts)":\[[^]]*\]|,"max_pixels":\d+|,"(images|patience)":null|,"stem":"cifar"'
    )
    added_later += r'|,"memory":"refuse"|,"fit":"squash"|,"skip_unreadable":false|,"cache":null'
    added_later += (
        r'|,"accumulate":1|,"warmup_epochs":0|,"label_smoothing":0.0|,"schedule":"cosine"|,"random_resized_crop":null'
    )
    added_later += r'|,"validation_share":0.0|,"class_weights":"none"|,"executor":"auto"|,"(ray|budget)":\{[^}]*\}'
    added_later += r'|,"devices":1|,"(cuda_graphs|paths_together)":"off"|,"(checkpoint_cells|compile)":false'
    older = re.sub(added_later, "", path.read_text())
    path.write_text(older)
    (_, payload), *_ = CheckpointFile(tmp_path / CHECKPOINT).payloads()
    began = older.partition('"started":')[2].removesuffix("}")
    # What its checkpoint was made for, before these were kept.
    assert torch.load(io.BytesIO(payload))["identity"] == hashlib.sha256(began.encode()).hexdigest()
    assert told(resume_evaluation(tmp_path)) == told(whole)
    assert "goes on after epoch 2" in caplog.text
    assert path.read_text() == older and read_evaluation(tmp_path)[0].mean is None
    assert Journal.open(tmp_path, EVALUATION).started.mean is None


def test_one_that_an_earlier_release_began_goes_on_from_its_checkpoint_and_has_a_journal_then(tmp_path, whole, caplog):
    caplog.set_level("INFO")
    stopped(tmp_path, 5)
    as_earlier_releases(tmp_path)
    assert kind_in(tmp_path) == "evaluation" and is_unfinished(tmp_path)
    with pytest.raises(SearchError, match="holds an evaluation already; resume it instead"):
        run_evaluation(CONFIG, GENOTYPE, folder=tmp_path)
    assert told(resume_evaluation(tmp_path)) == told(whole)
    assert "goes on after epoch 2" in caplog.text
    kinds = [event.kind for _, event in Journal.open(tmp_path, EVALUATION).events()]
    epochs = ["evaluation_epoch_finished"] * 3
    assert kinds == ["evaluation_started", "process_started", *epochs, "evaluation_finished"]


def test_one_that_an_earlier_release_finished_is_told_again(tmp_path, whole):
    result = run_evaluation(CONFIG, GENOTYPE, folder=tmp_path)
    as_earlier_releases(tmp_path)
    assert not is_unfinished(tmp_path)
    listener = Listener()
    assert resume_evaluation(tmp_path, observers=[listener]) == result
    *epochs, last = listener.events[1:]
    assert [event.record for event in epochs if isinstance(event, EvaluationEpochFinished)] == list(result.history)
    assert isinstance(last, EvaluationFinished) and last.weights_file == str(tmp_path / WEIGHTS)


def test_its_journal_holds_every_event_and_its_files_say_the_same(tmp_path):
    listener = Listener()
    result = run_evaluation(CONFIG, GENOTYPE, folder=tmp_path, observers=[listener])
    journal = Journal.open(tmp_path, EVALUATION)
    assert [event.seen_from(tmp_path) for _, event in journal.events()] == listener.events
    assert read_evaluation(tmp_path) == (journal.started, result)
    header = (tmp_path / JOURNAL_NAME).read_text().splitlines()[0]
    assert header.startswith(
        f'{{"format":"medarts-journal","version":3,"kind":"evaluation","name":"{tmp_path.name}","digest":"'
    )
    with pytest.raises(SearchError, match="of a job of kind 'evaluation': expected is a search"):
        Journal.open(tmp_path, SEARCH)


def test_a_finished_one_is_told_the_weights_of_its_folder_wherever_that_is_moved(tmp_path):
    (tmp_path / "here" / "mine").mkdir(parents=True)
    run_evaluation(CONFIG, GENOTYPE, folder=tmp_path / "here" / "mine")
    (tmp_path / "here").rename(tmp_path / "there")
    listener = Listener()
    resume_evaluation(tmp_path / "there" / "mine", observers=[listener])
    last = listener.events[-1]
    assert isinstance(last, EvaluationFinished)
    assert last.weights_file == str(tmp_path / "there" / "mine" / WEIGHTS) and Path(last.weights_file).exists()


def test_it_can_be_stopped_again_and_again_and_its_stops_are_told_once(tmp_path, whole):
    stopped(tmp_path, 2)
    for at in (3, 4):
        with pytest.raises(KeyboardInterrupt):
            resume_evaluation(tmp_path, observers=[Interrupt(at)])
    assert is_unfinished(tmp_path) and not (tmp_path / RESULT).exists()
    assert told(resume_evaluation(tmp_path)) == told(whole)
    events = [event for _, event in Journal.open(tmp_path, EVALUATION).events()]
    assert [event.number for event in events if isinstance(event, EvaluationStopped)] == [0, 1, 2]
    listener = Listener()
    resume_evaluation(tmp_path, observers=[listener])
    assert not [event for event in listener.events if isinstance(event, EvaluationStopped)]


def test_a_torn_checkpoint_costs_an_epoch_and_nothing_else(tmp_path, whole, caplog):
    stopped(tmp_path, 4)
    path = tmp_path / CHECKPOINT
    path.write_bytes(path.read_bytes()[:1000])
    assert told(resume_evaluation(tmp_path)) == told(whole)
    assert "torn" in caplog.text


def test_a_folder_without_an_evaluation_is_said_to_be_one(tmp_path):
    with pytest.raises(SearchError, match="no evaluation began here"):
        resume_evaluation(tmp_path)
    (tmp_path / STARTED).write_text('{"format": "medarts-evaluation", "version": 2}')
    with pytest.raises(SearchError, match="not what this release writes"):
        resume_evaluation(tmp_path)


def test_two_evaluations_do_not_share_a_folder(tmp_path):
    stopped(tmp_path, 2)
    with pytest.raises(SearchError, match="resume it instead"):
        run_evaluation(CONFIG, GENOTYPE, folder=tmp_path)
    with job_lock(tmp_path), pytest.raises(SearchError, match="is at work in process"):
        resume_evaluation(tmp_path)


def test_one_that_is_finished_is_told_again_and_not_trained(tmp_path, whole):
    run_evaluation(CONFIG, GENOTYPE, folder=tmp_path)
    assert not (tmp_path / CHECKPOINT).exists()
    weights = (tmp_path / WEIGHTS).read_bytes()
    listener = Listener()
    assert told(resume_evaluation(tmp_path, observers=[listener])) == told(whole)
    assert [event.kind for event in listener.events][-2:] == ["evaluation_epoch_finished", "evaluation_finished"]
    assert (tmp_path / WEIGHTS).read_bytes() == weights


def test_other_images_are_refused(tmp_path):
    stopped(tmp_path, 2)
    path = tmp_path / JOURNAL_NAME
    path.write_bytes(without_digests(path.read_bytes()).replace(b'"fingerprint":"', b'"fingerprint":"0'))
    with pytest.raises(DataError, match="began with other images"):
        resume_evaluation(tmp_path)


@pytest.mark.parametrize("harm", ["missing", "cut"])
def test_files_of_a_finished_evaluation_that_were_lost_are_written_again_from_its_journal(tmp_path, whole, harm):
    run_evaluation(CONFIG, GENOTYPE, folder=tmp_path)
    for name in (STARTED, RESULT):
        (tmp_path / name).unlink() if harm == "missing" else (tmp_path / name).write_text("{")
    resume_evaluation(tmp_path)
    started, result = read_evaluation(tmp_path)
    assert started.genotype == GENOTYPE and result is not None and told(result) == told(whole)
