"""Settings resolved: every `auto` as this machine answers it, every direction explicit, no unknown name."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch
from factories import make_evaluate_config_tiny, make_search_config_tiny
from pydantic import ValidationError

from medarts_ops import resolving
from medarts_ops.config import (
    DatasetConfig,
    EvaluateConfig,
    ObjectiveConfig,
    ResolvedEvaluateConfig,
    ResolvedSearchConfig,
    SearchConfig,
    StrategyConfig,
)
from medarts_ops.config_runtime import (
    EvaluationRuntimeConfig,
    ResolvedEvaluationRuntime,
    ResolvedSearchRuntime,
    SearchRuntimeConfig,
)
from medarts_ops.data.dataset import ImageShape
from medarts_ops.errors import ConfigError
from medarts_ops.populations import random_individual
from medarts_ops.resolving import (
    resolve_config_alone,
    resolve_evaluate_config,
    resolve_evaluation,
    resolve_runtime,
    resolve_search_config,
)
from medarts_ops.tasks import TrainingTask, derived_settings
from medarts_ops.training import at_a_time
from medarts_ops.training.made_up import made_up_images
from medarts_ops.training.runtime import CUBLAS_WORKSPACE
from medarts_ops.value import identity_of

STAGE = {"name": "only", "cells": 3, "channels": 2, "epochs": 1, "images": 1.0, "batch": 2, "population": 1}
EVALUATION = make_evaluate_config_tiny()


def search_runtime(**asked: object) -> ResolvedSearchRuntime:
    return resolve_config_alone(SearchConfig(runtime=SearchRuntimeConfig.model_validate(asked)), (8, 8)).runtime


def asked(**settings: object) -> SearchConfig:
    return SearchConfig.model_validate(make_search_config_tiny().model_dump() | settings)


def with_cuda(monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], count: int = 1) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)


def without_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.mark.parametrize(
    ("capability", "amp"), [((7, 5), "fp16"), ((7, 0), "fp16"), ((8, 0), "bf16"), ((8, 9), "bf16"), ((9, 0), "bf16")]
)
def test_auto_takes_fp16_on_turing_and_bf16_from_ampere_on(monkeypatch, capability, amp):
    with_cuda(monkeypatch, capability)
    resolved = resolve_runtime(EvaluationRuntimeConfig())
    assert (resolved.device, resolved.amp) == ("cuda:0", amp)


def test_auto_on_a_machine_without_gpu_is_the_cpu_in_full_precision(monkeypatch):
    without_cuda(monkeypatch)
    resolved = resolve_runtime(EvaluationRuntimeConfig())
    assert (resolved.device, resolved.amp) == ("cpu", "off")
    assert resolved.threads >= 1


def test_workers_share_the_cores(monkeypatch):
    without_cuda(monkeypatch)
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(resolving, "available_cores", lambda: 8)
    assert search_runtime(workers=3).threads == 2
    assert search_runtime(workers=16).threads == 1


def test_resolving_twice_changes_nothing(monkeypatch):
    without_cuda(monkeypatch)
    once = resolve_runtime(EvaluationRuntimeConfig())
    assert resolve_runtime(once) == once


def test_cuda_without_a_gpu_says_what_to_check(monkeypatch):
    without_cuda(monkeypatch)
    with pytest.raises(ConfigError, match="nvidia-smi"):
        resolve_runtime(EvaluationRuntimeConfig(device="cuda"))


def test_a_card_that_is_not_there_is_refused(monkeypatch):
    with_cuda(monkeypatch, (7, 5), count=1)
    with pytest.raises(ConfigError, match=r"cuda:3.*has 1 CUDA device"):
        resolve_runtime(EvaluationRuntimeConfig(device="cuda:3"))


def test_cublas_gets_its_workspace_before_cuda_is_asked_anything(monkeypatch):
    with_cuda(monkeypatch, (8, 0))
    monkeypatch.delenv(CUBLAS_WORKSPACE, raising=False)
    seen: list[str | None] = []

    def capability(device: torch.device) -> tuple[int, int]:
        seen.append(os.environ.get(CUBLAS_WORKSPACE))
        return (8, 0)

    monkeypatch.setattr(torch.cuda, "get_device_capability", capability)
    resolve_runtime(EvaluationRuntimeConfig(deterministic=False))
    resolve_runtime(EvaluationRuntimeConfig(deterministic=True))
    assert seen == [None, ":4096:8"]


def test_a_workspace_of_the_users_own_is_kept_if_it_repeats_itself(monkeypatch):
    with_cuda(monkeypatch, (8, 0))
    monkeypatch.setenv(CUBLAS_WORKSPACE, ":16:8")
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    resolve_runtime(EvaluationRuntimeConfig(deterministic=True))
    assert os.environ[CUBLAS_WORKSPACE] == ":16:8"


@pytest.mark.parametrize(
    ("workspace", "in_use", "found"), [(":0:0", False, "it is ':0:0'"), (None, True, "began to use CUDA without it")]
)
def test_a_process_whose_cublas_is_settled_is_refused(monkeypatch, workspace, in_use, found):
    with_cuda(monkeypatch, (8, 0))
    monkeypatch.delenv(CUBLAS_WORKSPACE, raising=False)
    if workspace:
        monkeypatch.setenv(CUBLAS_WORKSPACE, workspace)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: in_use)
    with pytest.raises(ConfigError, match=f"{found}: allowed are :4096:8 and :16:8; set it before the process starts"):
        resolve_runtime(EvaluationRuntimeConfig(deterministic=True))
    resolve_runtime(EvaluationRuntimeConfig(deterministic=False))


def test_a_cpu_needs_nothing_from_cublas(monkeypatch):
    without_cuda(monkeypatch)
    monkeypatch.setenv(CUBLAS_WORKSPACE, ":0:0")
    assert resolve_runtime(EvaluationRuntimeConfig(deterministic=True)).deterministic


@pytest.mark.parametrize(
    ("deterministic", "wish", "graphs"), [(False, "auto", "on"), (True, "auto", "off"), (True, "on", "on")]
)
def test_graphs_are_left_out_of_a_deterministic_search_unless_asked_for(monkeypatch, deterministic, wish, graphs):
    with_cuda(monkeypatch, (8, 0))
    monkeypatch.setenv(CUBLAS_WORKSPACE, ":4096:8")
    assert search_runtime(workers=1, deterministic=deterministic, cuda_graphs=wish).cuda_graphs == graphs


@pytest.mark.parametrize(
    ("given", "graphs"),
    [({}, "on"), ({"deterministic": True}, "off"), ({"devices": 2}, "off"), ({"cuda_graphs": "off"}, "off")],
)
def test_an_evaluation_on_one_card_is_a_graph(monkeypatch, given, graphs):
    with_cuda(monkeypatch, (8, 0), count=2)
    monkeypatch.setenv(CUBLAS_WORKSPACE, ":4096:8")
    assert resolve_runtime(EvaluationRuntimeConfig(**given)).cuda_graphs == graphs


@pytest.mark.parametrize(
    ("given", "how"),
    [
        ({}, "off"),
        ({"cuda_graphs": "off"}, "on"),
        ({"devices": 2}, "on"),
        ({"deterministic": True}, "on"),
        ({"cuda_graphs": "off", "channels_last": False}, "off"),
        ({"cuda_graphs": "off", "paths_together": "off"}, "off"),
        ({"cuda_graphs": "off", "device": "cpu"}, "off"),
        ({"device": "cpu", "paths_together": "on"}, "on"),
    ],
)
def test_paths_run_together_where_launches_take_time(monkeypatch, given, how):
    with_cuda(monkeypatch, (8, 0), count=2)
    monkeypatch.setenv(CUBLAS_WORKSPACE, ":4096:8")
    assert resolve_runtime(EvaluationRuntimeConfig(**given)).paths_together == how


def test_paths_that_can_not_lie_side_by_side_are_refused():
    with pytest.raises(
        ConfigError, match=r"runtime.paths_together is 'on' and runtime.channels_last is false: .* auto"
    ):
        resolve_runtime(EvaluationRuntimeConfig(device="cpu", paths_together="on", channels_last=False))


def test_paths_are_not_put_together_in_a_compiled_step(monkeypatch):
    monkeypatch.setattr(resolving, "check_can_compile", lambda device: None)
    given = {"device": "cpu", "compile": True}
    assert resolve_runtime(EvaluationRuntimeConfig(**given)).paths_together == "off"
    with pytest.raises(
        ConfigError, match="runtime.paths_together is 'on' and runtime.compile is true: a compiler puts"
    ):
        resolve_runtime(EvaluationRuntimeConfig(**given, paths_together="on"))


def test_graphs_that_an_evaluation_can_not_have_are_refused(monkeypatch):
    with_cuda(monkeypatch, (8, 0), count=2)
    with pytest.raises(ConfigError, match="runtime.devices is 2: a graph holds no exchange of gradients"):
        resolve_runtime(EvaluationRuntimeConfig(cuda_graphs="on", devices=2))
    with pytest.raises(ConfigError, match="only CUDA has graphs"):
        resolve_runtime(EvaluationRuntimeConfig(cuda_graphs="on", device="cpu"))


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"devices": 2}, "one device alone"),
        ({"checkpoint_cells": True}, "give one of --compile and --checkpoint-cells"),
    ],
)
def test_a_step_is_compiled_on_one_device_and_computes_no_cell_again(more, why):
    with pytest.raises(ConfigError, match=why):
        resolve_runtime(EvaluationRuntimeConfig(device="cpu", compile=True, **more))


def test_a_compiled_step_is_recorded_and_refused_without_a_compiler(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: name)
    assert resolve_runtime(EvaluationRuntimeConfig(device="cpu", compile=True)).compile
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(ConfigError, match="needs a compiler"):
        resolve_runtime(EvaluationRuntimeConfig(device="cpu", compile=True))


def test_every_auto_is_a_number_once_a_search_starts(monkeypatch):
    monkeypatch.setattr(at_a_time, "available_cores", lambda: 2)
    config, data = resolve_search_config(asked(runtime={"device": "cpu"}))
    assert isinstance(config, ResolvedSearchConfig) and len(data.stages) == len(config.stages)
    assert "auto" not in config.runtime.model_dump(exclude={"executor"}).values()
    assert config.runtime.stack == 1 and config.runtime.cuda_graphs == "off"


@pytest.fixture
def timed_sides(monkeypatch: pytest.MonkeyPatch) -> list[dict[int, ResolvedSearchConfig]]:
    """A card on which 0 is the fastest side, by which two individuals fit, and of 4 not one; what is timed."""
    with_cuda(monkeypatch, (8, 0))
    monkeypatch.setenv(CUBLAS_WORKSPACE, ":4096:8")
    timed: list[dict[int, ResolvedSearchConfig]] = []
    monkeypatch.setattr(resolving, "fastest_side", lambda ways, size: timed.append(ways) or 0)
    monkeypatch.setattr(
        resolving, "stack_that_fits", lambda config, stages: 2 if config.runtime.matrix_side == 0 else 1
    )
    monkeypatch.setattr(resolving, "fits", lambda config, data: config.runtime.matrix_side != 4)
    fewer = [stage.model_copy(update={"batch": 10}) for stage in make_search_config_tiny().stages]
    monkeypatch.setattr(
        resolving, "fitted_search", lambda config, data: config.model_copy(update={"stages": tuple(fewer)})
    )
    return timed


def test_a_search_on_a_card_takes_the_fastest_side_and_as_many_as_fit_with_it(timed_sides):
    config, data = resolve_search_config(asked(runtime={}))
    (ways,) = timed_sides
    assert {side: way.runtime.matrix_side for side, way in ways.items()} == {8: 8, 0: 0, 2: 2}
    assert [way.runtime.stack for way in ways.values()] == [1, 2, 1]
    assert all(way.stages[0].batch == 10 and way.runtime.device == "cuda:0" for way in ways.values())
    assert config == ways[0]
    assert resolve_search_config(config, data)[0] == config and len(timed_sides) == 1
    kept, _ = resolve_search_config(asked(runtime={"stack": 3, "memory": "ignore"}), data)
    assert kept.runtime.stack == 3 and timed_sides[1].keys() == {8, 0, 2, 4}


@pytest.mark.parametrize("runtime", [{"device": "cpu"}, {"deterministic": True}, {"matrix_side": 8}])
def test_a_search_times_no_side_where_that_is_said_or_bits_have_to_repeat_themselves(timed_sides, runtime):
    config, _ = resolve_search_config(asked(runtime=runtime))
    assert config.runtime.matrix_side == 8 and not timed_sides
    assert resolve_config_alone(asked(runtime={}), (8, 8)).runtime.matrix_side == 8 and not timed_sides


@pytest.mark.parametrize(
    ("runtime", "timed", "last", "together"),
    [
        ({}, True, False, "off"),
        ({"cuda_graphs": "off"}, True, False, "off"),
        ({"cuda_graphs": "off", "channels_last": True}, False, True, "on"),
        ({"channels_last": False}, False, False, "off"),
        ({"paths_together": "on"}, False, True, "on"),
        ({"deterministic": True}, False, True, "on"),
        ({"device": "cpu"}, False, True, "off"),
        ({"compile": True}, False, True, "off"),
    ],
)
def test_an_evaluation_on_a_card_takes_the_faster_layout(monkeypatch, runtime, timed, last, together):
    with_cuda(monkeypatch, (8, 0))
    monkeypatch.setenv(CUBLAS_WORKSPACE, ":4096:8")
    monkeypatch.setattr(resolving, "check_can_compile", lambda device: None)
    seen: list[ImageShape] = []

    def planes_are_faster(
        config: ResolvedEvaluateConfig, ways: dict[bool, ResolvedEvaluationRuntime], size: ImageShape
    ) -> ResolvedEvaluationRuntime:
        seen.append(size)
        assert config.runtime == ways[True] and ways[True].channels_last
        return ways[False]

    monkeypatch.setattr(resolving, "fastest_layout", planes_are_faster)
    given = EVALUATION.model_dump(mode="json", exclude={"runtime"}) | {"runtime": runtime}
    config, dataset = resolve_evaluation(EvaluateConfig.model_validate(given))
    assert seen == ([ImageShape.square(8, in_channels=1, n_classes=10)] if timed else [])
    assert (config.runtime.channels_last, config.runtime.paths_together) == (last, together)
    assert resolve_evaluation(config, dataset)[0] == config


def test_a_stage_gets_the_epochs_that_its_least_steps_take_and_says_so(caplog):
    """Half of 12 images a class of 10, in batches of 16, are 4 steps of w an epoch; these epochs are recorded."""
    stage = STAGE | {"images": 120, "batch": 16, "epochs": 2}
    few, many, none = (asked(stages=[stage | {"least_steps": steps}]) for steps in (9, 8, 0))
    raised, data = resolve_search_config(few)
    assert raised.stages[0].epochs == 3
    (said,) = [record.getMessage() for record in caplog.records]
    reason = "so that it has 9 steps (stages.0.least_steps; 0 leaves them)"
    assert said == f"stage 'only': epochs raised from 2 to 3, {reason}"
    assert resolve_search_config(raised, data)[0] == raised
    assert [resolve_search_config(each, data)[0].stages[0].epochs for each in (many, none)] == [2, 2]
    by_hand = asked(stages=[stage | {"epochs": 3}])
    assert identity_of(resolve_search_config(by_hand, data)[0]) == identity_of(raised)
    assert len(caplog.records) == 1


def test_a_short_training_gets_the_epochs_that_its_least_steps_take_and_says_so(caplog):
    """Ten of 12 images a class of 10, in batches of 16, are 7 steps an epoch."""
    derived = {"cells": 3, "channels": 4, "epochs": 2, "batch": 16, "images": 120}
    by_genotypes = {"stages": [STAGE | {"images": 120, "batch": 16}], "objectives": ["derived_accuracy"]}
    few, many = (asked(**by_genotypes, derived=derived | {"least_steps": steps}) for steps in (15, 14))
    raised, data = resolve_search_config(few)
    assert raised.derived.epochs == 3
    (said,) = [record.getMessage() for record in caplog.records]
    reason = "so that it has 15 steps (derived.least_steps; 0 leaves them)"
    assert said == f"a genotype's short training: epochs raised from 2 to 3, {reason}"
    assert resolve_search_config(many, data)[0].derived.epochs == 2
    by_hand = asked(**by_genotypes, derived=derived | {"epochs": 3})
    assert identity_of(resolve_search_config(by_hand, data)[0]) == identity_of(raised)


@pytest.mark.parametrize(
    ("objectives", "result", "is_said"),
    [
        (["accuracy", "params"], {"rule": "weighted", "stages": "all"}, True),
        (["params", "valid_loss"], {"stages": "all"}, True),
        (["accuracy", "params"], {"rule": "weighted"}, False),
        (["params"], {"rule": "weighted", "stages": "all"}, False),
    ],
)
def test_what_supernets_measure_is_said_not_to_compare_between_stages(objectives, result, is_said, caplog):
    resolve_search_config(asked(stages=[STAGE], objectives=objectives, result=result))
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == is_said and all("set result.stages to last" in sentence for sentence in said)


def test_a_given_stack_is_kept_and_data_that_are_there_are_not_loaded_again(monkeypatch):
    config, data = resolve_search_config(asked())
    monkeypatch.setattr(resolving, "prepare_search_data", None)
    again, same = resolve_search_config(config.model_copy(update={"runtime": SearchRuntimeConfig(stack=2)}), data)
    assert again.runtime.stack == 2 and same is data


def test_json_of_resolved_settings_is_that_of_settings_and_a_journal_of_before_reads_as_resolved():
    resolved, _ = resolve_search_config(asked())
    assert SearchConfig.model_validate_json(resolved.model_dump_json()).model_dump_json() == resolved.model_dump_json()
    before = resolved.model_dump(mode="json")
    del before["runtime"]["executor"], before["runtime"]["matrix_side"]
    assert ResolvedSearchConfig.model_validate(before) == resolved
    evaluation = resolve_evaluate_config(EvaluateConfig(), (8, 8))
    assert ResolvedEvaluateConfig.model_validate_json(evaluation.model_dump_json()) == evaluation
    assert list(resolved.model_dump()) == list(SearchConfig().model_dump())
    assert list(resolved.runtime.model_dump()) == list(SearchRuntimeConfig().model_dump())


def test_resolved_settings_have_no_auto_stem():
    for model, config in ((ResolvedSearchConfig, make_search_config_tiny()), (ResolvedEvaluateConfig, EVALUATION)):
        with pytest.raises(ValidationError, match="stem"):
            model.model_validate(config.model_dump() | {"stem": "auto"})


@pytest.mark.parametrize(
    "name", ["device", "amp", "threads", "channels_last", "workers", "stack", "cuda_graphs", "matrix_side"]
)
def test_resolved_settings_have_no_auto(name):
    settings = make_search_config_tiny().model_dump()
    settings["runtime"][name] = "auto"
    with pytest.raises(ValidationError, match=f"runtime.{name}"):
        ResolvedSearchConfig.model_validate(settings)


def test_resolved_settings_have_no_direction_left_open():
    settings = make_search_config_tiny().model_dump() | {"objectives": [{"name": "accuracy", "direction": None}]}
    with pytest.raises(ValidationError, match=r"objectives.0.direction"):
        ResolvedSearchConfig.model_validate(settings)


def test_resolved_settings_resolve_to_themselves():
    search, evaluation = make_search_config_tiny(), make_evaluate_config_tiny()
    assert (
        resolve_config_alone(search, (8, 8)) == search and resolve_evaluate_config(evaluation, (96, 96)) == evaluation
    )


def test_an_objective_takes_its_natural_direction_and_the_configs_own_if_it_has_one():
    config = asked(objectives=["accuracy", "latency", {"name": "params", "direction": "minimize"}, "macs"])
    directions = [objective.direction for objective in resolve_config_alone(config, (8, 8)).objectives]
    assert directions == ["maximize", "minimize", "minimize", "minimize"]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            asked(objectives=["accuracy", "latenci"]),
            r"^objectives\.1\.name: unknown objective 'latenci': allowed are "
            r"accuracy, derived_accuracy, derived_loss, latency, macs, params, valid_loss; did you mean 'latency'\?",
        ),
        (asked(runtime={"executor": "proceses"}), r"^runtime\.executor: unknown executor .*did you mean 'processes'"),
        (SearchConfig(strategy=StrategyConfig(name="dart")), r"^strategy\.name: unknown strategy .*did you mean"),
        (asked(runtime={"executor": "local", "workers": 2}), r"runtime.executor is 'local' and runtime.workers is 2"),
    ],
)
def test_an_unknown_name_is_refused_before_images_are_read(monkeypatch, config, message):
    monkeypatch.setattr(resolving, "prepare_search_data", None)
    with pytest.raises(ConfigError, match=message):
        resolve_search_config(config)


def test_an_evaluation_of_halved_images_is_refused_since_only_a_search_halves_them():
    halved = EvaluateConfig(dataset=DatasetConfig(low_resolution=True))
    with pytest.raises(ConfigError, match="dataset.low_resolution is true: .* set dataset.resolution, such as 16"):
        resolve_evaluate_config(halved, (32, 32))


STEMS = [
    # images, halved, stem of the search, of para_aug → what supernets see by, what is counted, what an evaluation has
    (96, False, "auto", "auto", "imagenet", "imagenet", "imagenet"),
    (95, False, "auto", "auto", "cifar", "cifar", "cifar"),
    (128, True, "auto", "auto", "cifar", "imagenet", "imagenet"),  # supernets see 64
    (128, True, "imagenet", "auto", "imagenet", "imagenet", "imagenet"),
    (224, True, "cifar", "auto", "cifar", "cifar", "imagenet"),
    (224, True, "auto", "cifar", "imagenet", "cifar", "imagenet"),
    (64, False, "imagenet", "auto", "imagenet", "imagenet", "cifar"),
]


@pytest.mark.parametrize(("side", "halved", "stem", "counted", "seen_by", "counted_by", "evaluated_by"), STEMS)
def test_auto_takes_the_stem_for_photos_from_96_pixels_on(
    tmp_path, side, halved, stem, counted, seen_by, counted_by, evaluated_by
):
    images, path = made_up_images(16, ImageShape.square(side, in_channels=1)), tmp_path / "images.npz"
    labels = np.arange(16) % 2
    np.savez(path, x_train=images.images, y_train=labels, x_test=images.images, y_test=labels)
    dataset = {"name": "npz", "data": str(path), "low_resolution": halved, "resolution": side}
    resolved, _ = resolve_search_config(asked(dataset=dataset, stages=[STAGE], stem=stem, para_aug={"stem": counted}))
    assert (resolved.stem, resolved.para_aug.stem) == (seen_by, counted_by)
    assert derived_settings(resolved).stem == seen_by
    whole = EvaluateConfig(dataset=DatasetConfig.model_validate(dataset | {"low_resolution": False}))
    evaluation, found = resolve_evaluation(whole)
    assert evaluation.stem == evaluated_by and found.resolution == (side, side)
    assert resolve_evaluation(evaluation, found)[0] == evaluation


def test_both_sides_of_a_photo_count():
    assert [resolve_evaluate_config(EvaluateConfig(), size).stem for size in ((96, 400), (400, 95))] == [
        "imagenet",
        "cifar",
    ]


@pytest.mark.parametrize(
    ("changes", "side", "said"),
    [
        ({"stem": "imagenet"}, 63, "stem is imagenet and the images are 63×63: allowed are sides of 64 or more"),
        ({"stages": [STAGE | {"channels": 3}]}, 96, r"stages\.0\.channels is 3 and stem imagenet, which halves them"),
        (
            {"derived": {"channels": 5}, "objectives": ["derived_accuracy"]},
            96,
            r"derived\.channels is 5 and stem imagenet",
        ),
    ],
)
def test_a_supernet_that_a_stem_is_no_match_for_is_refused_before_a_search_begins(changes, side, said):
    with pytest.raises(ConfigError, match=said):
        resolve_config_alone(asked(stem="auto", **changes) if "stem" not in changes else asked(**changes), (side, side))


def test_records_of_releases_that_had_one_stem_read_as_resolved_to_it():
    search, evaluation = make_search_config_tiny().model_dump(mode="json"), make_evaluate_config_tiny().model_dump()
    del search["stem"], search["para_aug"]["stem"], evaluation["stem"]
    assert ResolvedSearchConfig.model_validate(search) == make_search_config_tiny()
    assert ResolvedEvaluateConfig.model_validate(evaluation).stem == "cifar"


def test_a_direction_that_is_none_is_refused_with_its_path():
    with pytest.raises(ValidationError, match="'maximize' or 'minimize'"):
        ObjectiveConfig.model_validate({"name": "latency", "direction": "up"})


def test_the_place_of_training_is_no_part_of_what_a_checkpoint_was_made_of():
    config = make_search_config_tiny()
    elsewhere = config.model_copy(update={"runtime": config.runtime.model_copy(update={"executor": "processes"})})
    identities = set()
    for settings in (config, elsewhere):
        individuals = (random_individual(settings, 0),)
        task = TrainingTask(individuals=individuals, stage=settings.stages[0], config=settings, stage_data="none")
        assert "executor" in task.model_dump_json()
        identities.add(task.identity)
    assert len(identities) == 1


def test_an_evaluation_takes_each_card_that_is_named_unless_several_are_trained_side_by_side(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_cuda(monkeypatch, (8, 0), count=2)
    config = make_evaluate_config_tiny()
    runtime = config.runtime.model_copy(update={"device": "cuda:0,cuda:1"})
    config = config.model_copy(update={"runtime": runtime})
    with pytest.raises(ConfigError, match="a card would be idle.*set --devices 2, or name fewer"):
        resolve_evaluation(config)
    assert resolve_evaluation(config, side_by_side=True)[0].runtime.device_names == ("cuda:0", "cuda:1")
