"""What a search leaves in MLflow."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from alpha_artifacts import read_alpha
from factories import make_alpha, make_derived, make_epoch_record, make_genotype, make_pruned_events

from medarts_ops.errors import RunError
from medarts_ops.individual import Cut, EvaluatedIndividual, FailedIndividual, Yardstick
from medarts_ops.observers import (
    EpochFinished,
    IndividualFinished,
    SearchEvent,
    SearchFinished,
    SearchStarted,
    SearchStopped,
    StageFinished,
)
from medarts_ops.reproducibility import process_started
from medarts_ops.tracking import vocabulary
from medarts_ops.tracking.artifacts.shapes import read_evaluate_tag, read_genotype
from medarts_ops.tracking.runs.job_observer import epoch_metrics
from medarts_ops.tracking.runs.search_runs import MlflowSearchObserver
from medarts_ops.tracking.stores.run_store import RunStore
from medarts_ops.worth import CellWorth, Worth

Events = tuple[SearchEvent, ...]
Tell = Callable[[Events], MlflowSearchObserver]


def test_individuals_hang_below_their_stage_and_stages_below_the_search(
    store: RunStore, tell: Tell, events: Events
) -> None:
    observer = tell(events)
    search = store.find_run(observer.run_id)
    stages = store.children(search, "stage")
    assert (search.kind, search.name, search.parent_run_id) == ("search", "search-test", None)
    assert [stage.name for stage in stages] == ["stage-init", "stage-final"]
    assert [run.name for run in store.children(stages[0], "individual")] == ["init-00", "init-01", "init-02"]


def test_parents_are_run_ids_in_the_order_normal_cell_first(store: RunStore, tell: Tell, events: Events) -> None:
    observer = tell(events)
    child = store.find_run(observer.run_id_of("final-02"))
    assert child.tags["medarts.parents"] == f"{observer.run_id_of('init-00')},{observer.run_id_of('init-01')}"
    assert store.find_run(observer.run_id_of("init-00")).tags["medarts.parents"] == ""


def test_survivors_of_a_stage_are_tagged_selected(store: RunStore, tell: Tell, events: Events) -> None:
    observer = tell(events)
    stage = store.find_run(observer.stage_run_id(0))
    selected = {run.name for run in store.children(stage) if run.tags.get("medarts.selected") == "true"}
    assert selected == {"init-00", "init-01"}


def test_a_stage_whose_ranking_means_nothing_says_so_in_its_run_and_in_the_note_of_the_search(
    store: RunStore, tell: Tell, events: Events
) -> None:
    guesses = {"yardstick": Yardstick(images=40, chance=1.0, steps=2)}
    first = next(event.result for event in events if isinstance(event, StageFinished))
    at_chance = first.model_copy(update=guesses)
    *others, last = (
        StageFinished(result=at_chance) if event == StageFinished(result=first) else event for event in events
    )
    assert isinstance(last, SearchFinished)
    result = last.result.model_copy(update={"stages": (at_chance, *last.result.stages[1:])})
    observer = tell((*others, SearchFinished(result=result)))
    warning = store.find_run(observer.stage_run_id(0)).tags["medarts.warnings"]
    assert warning.startswith("no individual of stage init beats chance: ")
    assert f"**Warning:** {warning}." in store.find_run(observer.stage_run_id(0)).tags["mlflow.note.content"]
    assert "medarts.warnings" not in store.find_run(observer.stage_run_id(1)).tags
    assert f"**Warning:** {warning}." in store.find_run(observer.run_id).tags["mlflow.note.content"]


def test_a_stage_says_on_top_who_was_best_and_who_goes_on(store: RunStore, tell: Tell, events: Events) -> None:
    observer = tell(events)
    note = store.find_run(observer.stage_run_id(0)).tags["mlflow.note.content"]
    first = next(event.result for event in events if isinstance(event, StageFinished))
    best = observer.run_id_of(first.best.id)
    assert note.startswith(f"**{first.best.id}** (run `{best}`) is the best: accuracy ")
    assert "Chosen: init-00, init-01." in note or "Chosen: init-01, init-00." in note


def test_settings_of_evaluations_are_kept_with_the_search_and_read_back(
    store: RunStore, tell: Tell, events: Events
) -> None:
    kept = {"epochs": 7, "auxiliary": {"weight": 0.0}}
    told = SearchStarted.model_validate_json(events[0].model_copy(update={"evaluate": kept}).model_dump_json())
    run = store.find_run(tell((told, *events[1:])).run_id)
    assert read_evaluate_tag(run.run_id, run.tags) == kept
    assert read_evaluate_tag("1", {}) == {}
    for spoilt in ("[1]", "{", '{"epochs": NaN}'):
        with pytest.raises(RunError, match=r"medarts\.evaluate_settings of run 1"):
            read_evaluate_tag("1", {"medarts.evaluate_settings": spoilt})


def test_a_finished_search_has_no_running_run_and_failed_ones_say_why(
    store: RunStore, tell: Tell, events: Events
) -> None:
    observer = tell(events)
    runs = store.runs_of_search(observer.experiment_id, "search-test")
    failed = [run for run in runs if run.status != "FINISHED"]
    assert len(runs) == 9
    assert [(run.name, run.status, run.tags["medarts.failure"]) for run in failed] == [
        ("init-02", "FAILED", "loss is NaN")
    ]


@pytest.mark.parametrize(("interrupted", "status"), [(True, "KILLED"), (False, "FAILED")])
def test_a_stopped_search_leaves_no_run_open(
    store: RunStore, tell: Tell, events: Events, interrupted: bool, status: str
) -> None:
    observer = tell((*events[:5], SearchStopped(reason="Ctrl-C", interrupted=interrupted)))
    runs = store.runs_of_search(observer.experiment_id, "search-test")
    assert {(run.status, run.tags["medarts.failure"]) for run in runs} == {(status, "Ctrl-C")}


def test_stopping_leaves_finished_individuals_finished(store: RunStore, tell: Tell, events: Events) -> None:
    observer = tell((*events[:6], SearchStopped(reason="Ctrl-C", interrupted=True)))
    assert store.find_run(observer.run_id_of("init-00")).status == "FINISHED"
    assert store.find_run(observer.run_id_of("init-01")).status == "KILLED"


def test_a_resumed_search_goes_on_in_its_own_runs(store: RunStore, tell: Tell, events: Events) -> None:
    before = tell((*events[:5], SearchStopped(reason="Ctrl-C", interrupted=True)))
    after = MlflowSearchObserver(store)
    for event in events:
        after.notify(event)
    runs = store.runs_of_search(after.experiment_id, "search-test")
    assert after.run_id == before.run_id
    assert [run.status for run in runs].count("FINISHED") == 8
    assert len(runs) == 9
    assert "medarts.stopped" not in store.find_run(after.run_id).tags


def test_events_told_twice_log_nothing_twice(store: RunStore, tell: Tell, events: Events) -> None:
    observer = tell(events + events)
    run_id = observer.run_id_of("init-00")
    history = store._client.get_metric_history(run_id, "train_loss")
    assert [point.step for point in history] == [0, 1]
    assert len(store.runs_of_search(observer.experiment_id, "search-test")) == 9


def test_the_short_training_of_a_genotype_is_a_curve_of_every_run_that_has_the_genotype(
    store: RunStore, tell: Tell, events: Events
) -> None:
    finished = next(event for event in events if isinstance(event, IndividualFinished))
    outcome = finished.outcome
    assert isinstance(outcome, EvaluatedIndividual)
    trained = outcome.trained.model_copy(update={"derived": make_derived(outcome.trained.genotype, 0.4, epochs=3)})
    measured = {"derived_accuracy": 0.4, "valid_loss": 0.125}
    with_it = finished.model_copy(update={"outcome": EvaluatedIndividual(trained=trained, objectives=measured)})
    told = tuple(with_it if event is finished else event for event in events)
    observer = tell(told + told)
    run_id = observer.run_id_of(outcome.id)
    curve = store._client.get_metric_history(run_id, "derived_valid_accuracy")
    assert [(point.step, point.value) for point in curve] == [(0, 0.4), (1, 0.4), (2, 0.4)]
    metrics = store.find_run(run_id).metrics
    assert metrics["derived_accuracy"] == 0.4 and metrics["derived_seconds"] == 1.5
    # The objective of an earlier epoch stands after the epochs' own, which it leaves as they were.
    steps = [point.step for point in store._client.get_metric_history(run_id, "valid_loss")]
    assert metrics["valid_loss"] == 0.125 and steps == list(range(len(trained.history) + 1))


def test_metrics_have_clear_names_and_are_finite(store: RunStore, tell: Tell, events: Events) -> None:
    observer = tell(events)
    metrics = store.find_run(observer.run_id_of("init-00")).metrics
    epoch = {"train_loss", "alpha_loss", "valid_accuracy", "lr", "normal_skips", "max_mixture_normal", "epoch_seconds"}
    assert epoch | {"accuracy", "params", "front", "images_per_second"} <= metrics.keys()
    everything = [run.metrics for run in store.runs_of_search(observer.experiment_id, "search-test")]
    # MLflow turns infinity into ±1.8e308, which is finite.
    assert all(math.isfinite(value) and abs(value) < 1e300 for found in everything for value in found.values())


def test_the_metric_that_mlflow_draws_first_is_the_one_that_individuals_are_judged_by() -> None:
    assert next(iter(epoch_metrics(make_epoch_record()))) == "valid_accuracy"


def test_an_infinite_crowding_distance_is_a_tag_and_no_metric(store: RunStore, tell: Tell, events: Events) -> None:
    run = store.find_run(tell(events).run_id_of("init-00"))
    assert run.tags["medarts.crowding"] == "inf"
    assert "crowding" not in run.metrics and "medarts.diverged" not in run.tags


def test_a_nan_loss_is_left_out_and_tagged(store: RunStore, tell: Tell, events: Events) -> None:
    record = make_epoch_record().model_copy(update={"train_loss": math.nan, "valid_loss": math.inf})
    observer = tell((*events[:3], EpochFinished(individual_id="init-00", record=record)))
    run = store.find_run(observer.run_id_of("init-00"))
    assert run.tags["medarts.diverged"] == "true"
    assert "train_loss" not in run.metrics and "valid_loss" not in run.metrics and "lr" in run.metrics


def test_individuals_share_numeric_parameters(store: RunStore, tell: Tell, events: Events) -> None:
    observer = tell(events)
    first, last = (store.find_run(observer.run_id_of(name)).params for name in ("init-00", "final-02"))
    sizes = {"cells", "channels", "epochs", "images", "batch"}
    assert first.keys() == last.keys() == sizes | {"alpha_lr", "weights_lr", "alpha_weight_decay", "alpha_init_std"}
    assert (first["images"], last["images"], last["cells"]) == ("80", "700", "4")
    assert all(math.isfinite(float(value)) for value in [*first.values(), *last.values()])


def test_alpha_at_birth_comes_back_bit_for_bit(store: RunStore, tell: Tell, events: Events) -> None:
    data = store.read_json_artifact(tell(events).run_id_of("init-01"), "alpha_initial.json")
    assert read_alpha(data) == make_alpha(1)
    assert data["normal"]["edges"][:3] == [[0, 2], [1, 2], [0, 3]]
    assert data["reduce"]["operations"][3] == "skip_connect"
    assert np.shape(data["reduce"]["op_logits"]) == (14, 8)


def test_the_search_run_carries_its_result(store: RunStore, tell: Tell, events: Events) -> None:
    observer = tell(events)
    finished = events[-1]
    assert isinstance(finished, SearchFinished)
    run = store.find_run(observer.run_id)
    assert run.tags["medarts.best_run_id"] == observer.run_id_of("final-02")
    assert "final-02" in run.tags["mlflow.note.content"]
    assert read_genotype(store.read_json_artifact(run.run_id, "genotype.json")) == finished.result.best.trained.genotype
    assert run.metrics["hours"] == pytest.approx(finished.result.seconds / 3600)
    assert run.metrics["best_accuracy"] == 0.95 and run.metrics["cpu_hours"] > 0


def test_the_search_run_charts_every_stage(store: RunStore, tell: Tell, events: Events) -> None:
    observer = tell(events)
    for metric, values in {"best_accuracy": (0.9, 0.95), "accuracy": (0.9, 0.95), "params": (2e6, 4e6)}.items():
        points = store._client.get_metric_history(observer.run_id, metric)
        assert [(point.step, point.value) for point in points] == [(0, values[0]), (1, values[1])]


def test_a_stage_run_has_the_objectives_of_its_best(store: RunStore, tell: Tell, events: Events) -> None:
    metrics = store.find_run(tell(events).stage_run_id(1)).metrics
    assert (metrics["accuracy"], metrics["params"]) == (0.95, 4e6)


def test_the_search_run_holds_config_dataset_and_parameters(store: RunStore, tell: Tell, events: Events) -> None:
    run = store.find_run(tell(events).run_id)
    assert run.params["stages.1.survivors"] == "2" and run.params["weights.lr"] == "0.025"
    assert store.read_json_artifact(run.run_id, "config.json")["stages"][1]["images"] == 0.5
    assert store.read_json_artifact(run.run_id, "dataset.json")["fingerprint"] == "0123456789ab"
    assert store._client.get_run(run.run_id).inputs.dataset_inputs[0].dataset.name == "digits"


def test_runs_say_who_made_them_with_what(store: RunStore, tell: Tell, events: Events) -> None:
    tags = store.find_run(tell(events).run_id).tags
    assert tags["mlflow.source.name"] == "medarts search" and tags["mlflow.source.type"] == "LOCAL"
    assert {"mlflow.user", "medarts.version", "medarts.torch_version"} <= tags.keys()


def test_the_lineage_goes_back_to_random_individuals(store: RunStore, tell: Tell, events: Events) -> None:
    observer = tell(events)
    lineage = store.read_json_artifact(observer.run_id, "lineage.json")
    assert [row["individual"] for row in lineage["individuals"]] == ["final-02", "init-00", "init-01"]
    assert lineage["individuals"][0]["parent_run_ids"][1] == observer.run_id_of("init-01")
    assert [row["origin"] for row in lineage["individuals"][1:]] == ["random", "random"]


def test_a_stage_holds_its_ranking_and_its_best_genotype(store: RunStore, tell: Tell, events: Events) -> None:
    observer = tell(events)
    stage = store.find_run(observer.stage_run_id(0))
    table = store.read_json_artifact(stage.run_id, "population.json")
    assert [(row["individual"], row["crowding_distance"]) for row in table["ranked"]] == [
        ("init-00", "Infinity"),
        ("init-01", "Infinity"),
    ]
    assert table["failed"][0]["run_id"] == observer.run_id_of("init-02")
    assert stage.tags["medarts.best_run_id"] == observer.run_id_of("init-00")
    assert stage.metrics["front_size"] == 2 and stage.metrics["n_failed"] == 1
    # Both objectives are maximised: the ends of the one front, in a box of 1.1 × 1.1 of their ranges.
    assert stage.metrics["hypervolume"] == pytest.approx((0.1 * 1.1 + 0.1) / 1.21)


def test_an_individual_that_fails_in_an_epoch_says_which(store: RunStore, tell: Tell, events: Events) -> None:
    observer = tell(events[:3])
    failed = next(event.outcome for event in events if isinstance(event, IndividualFinished) and _is_failed(event))
    observer.notify(IndividualFinished(outcome=failed.model_copy(update={"epoch": 4})))
    assert store.find_run(observer.run_id_of("init-02")).tags["medarts.failed_epoch"] == "4"


@pytest.mark.parametrize("cause", ["diverged", "crashed", "out_of_memory"])
def test_a_failed_individual_says_whether_trying_again_can_help(
    store: RunStore, tell: Tell, events: Events, cause: str
) -> None:
    observer = tell(events[:3])
    failed = next(event.outcome for event in events if isinstance(event, IndividualFinished) and _is_failed(event))
    observer.notify(IndividualFinished(outcome=failed.model_copy(update={"cause": cause})))
    tags = store.find_run(observer.run_id_of("init-02")).tags
    assert (tags["medarts.failure"], tags["medarts.failure_cause"]) == ("loss is NaN", cause)


def _is_failed(event: IndividualFinished) -> bool:
    return isinstance(event.outcome, FailedIndividual)


def test_an_event_before_its_search_is_refused(observer: MlflowSearchObserver, events: Events) -> None:
    with pytest.raises(RunError, match="no search has started"):
        observer.notify(events[1])


def test_an_individual_that_was_never_born_is_named(tell: Tell, events: Events) -> None:
    with pytest.raises(RunError, match="init-99"):
        tell(events).run_id_of("init-99")


def test_each_process_that_works_on_a_search_leaves_its_reproducibility_record(
    store: RunStore, tell: Tell, events: Events
) -> None:
    first = events[0]
    assert isinstance(first, SearchStarted)
    process = process_started(first.config, first.dataset)
    observer = tell((first, process, *events[1:5], process.model_copy(update={"name": "20260101T120000Z.json"})))
    assert len(store.artifacts_in(observer.run_id, "reproducibility")) == 2
    record = store.read_json_artifact(observer.run_id, f"reproducibility/{process.name}")
    assert (record["kind"], record["seed"]) == ("search", 0)
    assert record["packages"]["torch"]


def test_what_discretizing_costs_is_a_metric_where_it_was_measured(store: RunStore, tell: Tell, events: Events) -> None:
    finished = next(event for event in events if isinstance(event, IndividualFinished))
    assert isinstance(finished.outcome, EvaluatedIndividual)
    gap = {"discretized_accuracy": 0.25, "discretized_loss": 2.0}
    trained = finished.outcome.trained.model_copy(update=gap)
    measured = IndividualFinished(outcome=finished.outcome.model_copy(update={"trained": trained}))
    observer = tell(tuple(measured if event is finished else event for event in events))
    first, other = (store.find_run(observer.run_id_of(name)) for name in (finished.individual.id, "init-01"))
    assert {name: first.metrics[name] for name in gap} == gap
    assert not gap.keys() & other.metrics.keys()


def test_a_run_says_where_its_genotype_is_more_than_its_last_epoch_says(
    store: RunStore, tell: Tell, events: Events
) -> None:
    finished = next(event for event in events if isinstance(event, IndividualFinished))
    assert isinstance(finished.outcome, EvaluatedIndividual)
    trained = finished.outcome.trained.model_copy(update={"is_consensus": True, "skips_set_aside": ((0, 2), (1, 4))})
    mean = IndividualFinished(outcome=finished.outcome.model_copy(update={"trained": trained}))
    observer = tell(tuple(mean if event is finished else event for event in events))
    first, other = (store.find_run(observer.run_id_of(name)) for name in (finished.individual.id, "init-01"))
    assert first.tags["medarts.taken_from"] == "the mean of its population"
    assert first.tags["medarts.skips_set_aside"] == "0 → 2, 1 → 4"
    assert not {"medarts.taken_from", "medarts.skips_set_aside"} & other.tags.keys()


def test_who_was_read_by_worth_has_it_beside_what_the_mixtures_say(store: RunStore, tell: Tell, events: Events) -> None:
    finished = next(event for event in events if isinstance(event, IndividualFinished))
    assert isinstance(finished.outcome, EvaluatedIndividual)
    rng = np.random.default_rng(0)
    measured = np.arange(14 * 8).reshape(14, 8) % 8 > 0
    cells = [CellWorth(operations=rng.normal(size=(14, 8)), edges=rng.normal(size=14), measured=measured)] * 2
    worth, other = Worth(normal=cells[0], reduce=cells[1]), make_genotype("dil_conv_3x3")
    read = finished.outcome.trained.model_copy(update={"worth": worth, "mixture_genotype": other})
    event = IndividualFinished(outcome=finished.outcome.model_copy(update={"trained": read}))
    observer = tell(tuple(event if each is finished else each for each in events))
    run_id = observer.run_id_of(finished.individual.id)
    data = store.read_json_artifact(run_id, "worth.json")
    assert data["normal"]["operations"][1] == "max_pool_3x3" and data["reduce"]["edges"][:2] == [[0, 2], [1, 2]]
    assert np.array_equal(np.array(data["reduce"]["worth"], np.float32), worth.reduce.operations)
    assert np.array_equal(np.array(data["normal"]["edge_worth"], np.float32), worth.normal.edges)
    assert data["normal"]["measured"] == measured.tolist()
    assert read_genotype(store.read_json_artifact(run_id, "genotype_mixture.json")) == other


def test_what_the_time_cut_short_is_a_tag_of_its_stage_and_of_the_search(
    store: RunStore, tell: Tell, events: Events
) -> None:
    *before, last = events
    assert isinstance(last, SearchFinished)
    first, second = last.result.stages
    cut = first.model_copy(update={"cuts": (Cut(what="supernets", epochs=1, planned=2),)})
    told = [StageFinished(result=cut) if event == StageFinished(result=first) else event for event in before]
    result = last.result.model_copy(update={"stages": (cut, second), "left_out": ("final",)})
    observer = tell((*told, SearchFinished(result=result)))
    stage = store.find_run(observer.stage_run_id(0))
    assert stage.tags[vocabulary.CUT_TAG] == "supernets ended after 1 of 2 epochs"
    warnings = stage.tags[vocabulary.WARNINGS_TAG]
    assert "supernets of stage init ended after 1 of 2 epochs: their time was over" in warnings
    search = store.find_run(observer.run_id)
    assert search.tags[vocabulary.CUT_TAG].splitlines() == [
        "supernets of stage init ended after 1 of 2 epochs",
        "stage final was left out",
    ]
    assert vocabulary.CUT_TAG not in store.find_run(observer.stage_run_id(1)).tags


def test_a_pruned_individual_is_a_killed_run_that_says_why_and_keeps_what_it_had_come_to(
    store: RunStore, tell: Tell
) -> None:
    observer = tell(make_pruned_events())
    run = store.find_run(observer.run_id_of("init-03"))
    assert (run.status, run.tags["medarts.pruned"]) == ("KILLED", "on front 1 of its population after 1 epoch")
    assert (run.metrics["accuracy"], run.metrics["params"], run.metrics["seconds"]) == (0.4, 1e6, 1.5)
    assert not run.tags.keys() & {"medarts.failure", "medarts.stopped", "medarts.front"}
    stage = store.find_run(observer.stage_run_id(0))
    assert (stage.metrics["n_pruned"], stage.metrics["n_failed"]) == (1, 1)
    population = store.read_json_artifact(stage.run_id, "population.json")
    assert [(row["individual"], row["epochs"], row["front"]) for row in population["pruned"]] == [("init-03", 1, 1)]
