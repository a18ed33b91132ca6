"""From preset, file, options and --set to one config."""

from __future__ import annotations

from pathlib import Path

import pytest

from medarts_ops.config import ChildrenConfig, EvaluateConfig, SearchConfig
from medarts_ops.configs.layers import Layer
from medarts_ops.configs.loader import (
    Request,
    after_search,
    load_evaluate_config,
    load_search_config,
    named_preset,
    resolve_evaluate,
    resolve_search,
    resolved_table,
)
from medarts_ops.configs.presets import SettingsFile
from medarts_ops.errors import ConfigError

SIZES = (
    "stages.0.cells",
    "stages.0.channels",
    "stages.0.epochs",
    "stages.0.images",
    "stages.0.batch",
    "stages.0.population",
    "stages.1.survivors",
    "stages.1.children",
    "space.nodes",
    "dataset.resolution",
    "alpha.warmup_epochs",
    "augment.crop_padding",
    "augment.cutout",
    "para_aug.cells",
    "para_aug.channels",
    "proposals.generations",
    "min_survivors",
    "retries",
    "runtime.threads",
    "runtime.workers",
    "runtime.stack",
)
"""Settings that take a number of things; memory or time would end at a large one."""


def config_file(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_without_anything_it_is_digits() -> None:
    config = load_search_config()
    assert (config.preset, config.dataset.name) == ("digits", "digits")


def test_each_layer_lies_over_the_one_before(tmp_path: Path) -> None:
    file = config_file(tmp_path, "search: {seed: 1, alpha: {lr: 1e-3, beta1: 0.4}}")
    config = load_search_config(
        "digits", config_file=file, options={"seed": 2}, sets=["alpha.lr=2e-3", "alpha.lr=3e-3", "alpha.beta2=0.9"]
    )
    assert config.seed == 2
    assert (config.alpha.lr, config.alpha.beta1, config.alpha.beta2) == (3e-3, 0.4, 0.9)


def test_a_partial_group_keeps_the_rest_of_the_models_default() -> None:
    config = load_evaluate_config("cifar10", sets=["weights.lr=0.1", "augment.flip=false"])
    assert (config.weights.lr, config.weights.lr_min) == (0.1, 0.0)
    assert config.augment.cutout == 16
    assert not config.dataset.low_resolution


def test_one_stage_can_be_changed_by_its_index() -> None:
    config = load_search_config("cifar10", sets=["stages.0.epochs=2", "stages.2.images=0.5"])
    assert [stage.epochs for stage in config.stages] == [2, 5, 15]
    assert config.stages[2].images == 0.5


def test_an_empty_space_clears_the_proposals(tmp_path: Path) -> None:
    file = config_file(tmp_path, "search: {proposals: {space: {}}}")
    assert load_search_config("cifar10", config_file=file).proposals.space == {}
    assert load_search_config("cifar10", sets=["proposals.space={}"]).proposals.space == {}


@pytest.mark.parametrize("word", ["off", "no", "false"])
def test_a_switch_and_a_word_may_both_be_off(word: str) -> None:
    config = load_search_config("cifar10", sets=[f"dataset.low_resolution={word}", "runtime.amp=off"])
    assert config.dataset.low_resolution is False
    assert config.runtime.amp == "off"


def test_a_dataset_takes_its_preset_wherever_it_is_named(tmp_path: Path) -> None:
    file = config_file(tmp_path, "search: {dataset: {name: cifar100}}")
    assert load_search_config(options={"dataset": {"name": "cifar10"}}).preset == "cifar10"
    assert load_search_config(config_file=file).preset == "cifar100"
    assert load_search_config(config_file=file, sets=["dataset.name=npz"]).preset == "npz"


def test_a_preset_keeps_the_dataset_that_is_named_beside_it() -> None:
    config = load_search_config("cifar10", options={"dataset": {"name": "digits"}})
    assert (config.preset, config.dataset.name) == ("cifar10", "digits")


def test_a_config_file_may_extend_a_preset(tmp_path: Path) -> None:
    file = config_file(tmp_path, "extends: cifar10-paper\nsearch: {seed: 4}")
    config = load_search_config(config_file=file)
    assert (config.preset, config.dataset.name, config.seed) == ("cifar10-paper", "cifar10", 4)
    assert load_evaluate_config(config_file=file).dataset.name == "cifar10"


def test_two_different_presets_are_refused(tmp_path: Path) -> None:
    file = config_file(tmp_path, "extends: cifar10")
    assert named_preset(Request(preset="cifar10", config_file=file), "search") == "cifar10"
    with pytest.raises(ConfigError, match=r"extends 'cifar10' and --preset is 'digits'"):
        load_search_config("digits", config_file=file)


def test_the_preset_is_no_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"name it by --preset"):
        load_search_config(sets=["preset=cifar10"])
    with pytest.raises(ConfigError, match=r"name it by --preset"):
        load_search_config(config_file=config_file(tmp_path, "search: {preset: cifar10}"))


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("runtime.budget.scale=0.5", r"^runtime.budget.scale is 0.5: it is written when a plan is fitted"),
        ("runtime.budget={seconds: 2h, stages: [1, 2]}", r"^runtime.budget.stages is .* say the time alone"),
        ("stages.0.epoch=2", r"unknown setting 'stages.0.epoch': .* did you mean 'stages.0.epochs'\?"),
        ("dataset.nam=x", r"unknown setting 'dataset.nam': .* did you mean 'dataset.name'\?"),
        ("alfa.lr=1", r"unknown setting 'alfa': .* did you mean 'alpha'\?"),
        ("matrix_side=4", r"unknown setting 'matrix_side': .* did you mean 'runtime.matrix_side'\?"),
        ("proposals.space.alpha_l.low=1", r"unknown setting 'proposals.space.alpha_l': .*'proposals.space.alpha_lr'"),
        ("stages.0.epochs=0", r"^stages.0.epochs: .* 1 or more(, or null)?, got 0"),
        ("stages.0.cells=2", r"^stages.0.cells: .* 3 or more(, or null)?, got 2"),
        ("stages.0.population=0", r"^stages.0.population: .* 1 or more(, or null)?, got 0"),
        ("stages.1.survivors=9", r"^stages.1.survivors is 9: stage 'init' has 6 individuals, allowed are 1 to 6"),
        ("stages.1.children=7", r"children is 7: .* children; set it to 6 or less, or raise stages.1.survivors"),
        ("stages.1.children=some", r"^stages.1.children: .* a whole number, got 'some'"),
        ("stages.1.children={swap: 7}", r"^stages.1.children.swap is 7: 3 survivors give at most 6 swap children"),
        ("stages.1.children={nodewise: 7}", r"^stages.1.children.nodewise is 7: 3 survivors give at most 6"),
        ("stages.1.children={consensus: 2}", r"consensus is 2: 3 survivors give at most 1 .* set it to 1 or less$"),
        ("stages.1.children={mutation: -1}", r"^stages.1.children.mutation: .* 0 or more, got -1"),
        (
            "stages.1.children={mutations: 1}",
            r"^unknown setting 'stages.1.children.mutations': .* 'stages.1.children.mutation'",
        ),
        ("stages.2.children={consensus: 1}", r"consensus is 1: 1 survivor gives at most 0 .* to 0, or raise"),
        (
            "stages.1.children.mutation=1",
            r"^stages.1.children.mutation: stages.1.children is a single setting \(now 2\)",
        ),
        ("stages.3.epochs=1", r"^stages.3.epochs: stages is a list, got index '3', allowed are 0 to 2"),
        ("weights.momentum=1", r"^weights.momentum: .* less than 1, got 1"),
        ("weights.lr=inf", r"^weights.lr: .* finite number, got 'inf'"),
        ("dataset.resolution=4", r"^dataset.resolution: .* 8 or more(, or null)?, got 4"),
        *((f"{path}={10**17}", rf"^{path}: .* \d+ or less(, or (null|'auto'))?, got {10**17}") for path in SIZES),
        ("dataset.name=mnist", r"^dataset.name: unknown dataset 'mnist'"),
        ("runtime.device=gpu", r"^runtime.device: .* got 'gpu'"),
        ("runtime.amp=fp8", r"^runtime.amp: .* got 'fp8'"),
        ("space.primitives=[none, skip]", r"space.primitives: unknown operation 'skip'"),
        ("stages=[]", r"^stages is empty"),
    ],
)
def test_a_bad_setting_is_named_by_its_path(assignment: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load_search_config(sets=[assignment])
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("path", ["cells", "channels", "epochs", "batch", "dataset.resolution", "runtime.threads"])
def test_an_evaluation_of_absurd_size_is_refused(path: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{path}: .* \d+ or less(, or (null|'auto'))?, got {10**17}"):
        load_evaluate_config(sets=[f"{path}={10**17}"])


def test_every_whole_number_but_the_seed_has_both_bounds() -> None:
    for model in (SearchConfig, EvaluateConfig):
        schema = model.model_json_schema()
        properties = [
            (name, option)
            for group in (schema, *schema["$defs"].values())
            for name, field in group["properties"].items()
            for option in field.get("anyOf", [field])
            if option.get("type") == "integer" and name != "seed"
        ]
        assert len(properties) > 5
        assert [name for name, option in properties if not {"minimum", "maximum"} <= set(option)] == []


def test_a_typo_in_a_config_file_is_found_too(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"unknown setting 'epoch': .* did you mean 'epochs'\?"):
        load_evaluate_config(config_file=config_file(tmp_path, "evaluate: {epoch: 3}"))


def test_every_change_is_laid_to_the_highest_layer_that_made_it(tmp_path: Path) -> None:
    file = config_file(tmp_path, "search: {alpha: {lr: 1e-3}, augment: {cutout: 8}}")
    changed_by = resolve_search(Request("digits", (), file, {"seed": 1}, ["alpha.lr=2e-3"])).changed_by
    assert changed_by["augment.flip"] == "preset digits"
    assert changed_by["augment.cutout"] == "config file"
    assert changed_by["seed"] == "option"
    assert changed_by["alpha.lr"] == "--set"
    assert "alpha.beta1" not in changed_by


def test_a_replaced_list_is_laid_to_its_layer_as_a_whole() -> None:
    one_stage = "stages=[{name: only, population: 2, epochs: 1}]"
    changed_by = resolve_search(Request("digits", sets=[one_stage])).changed_by
    stages = {path: source for path, source in changed_by.items() if path.startswith("stages.")}
    assert stages == {"stages.0.name": "--set", "stages.0.population": "--set", "stages.0.epochs": "--set"}


CIFAR10 = {"name": "cifar10", "data": "/images", "resolution": None, "test_share": 0.3, "low_resolution": True}


def test_an_evaluation_takes_preset_and_dataset_of_its_search() -> None:
    config = resolve_evaluate(after_search(Request(), "cifar10-paper", CIFAR10)).config
    assert (config.preset, config.dataset.name) == ("cifar10-paper", "cifar10")
    assert (config.dataset.data, config.dataset.test_share) == ("/images", 0.3)
    assert not config.dataset.low_resolution


def test_what_was_kept_of_evaluations_lies_over_the_search_and_below_a_scale_a_file_options_and_sets() -> None:
    kept = {"epochs": 7, "batch": 48, "channels": 20, "cells": 8, "dataset": {"test_share": 0.25}}
    scale = Layer("scale small", {"batch": 32})
    file = SettingsFile(None, {}, {"channels": 16})
    request = after_search(Request(config_file=file, sets=["cells=5"]), "cifar10-paper", CIFAR10, kept)
    resolved = resolve_evaluate(request._replace(below=(*request.below, scale)))
    config = resolved.config
    assert (config.epochs, config.batch, config.channels, config.cells) == (7, 32, 16, 5)
    assert (config.dataset.data, config.dataset.test_share) == ("/images", 0.25)
    assert resolved.changed_by["epochs"] == "stored evaluate"


def test_what_was_kept_of_evaluations_may_name_another_dataset_and_says_nothing_where_another_is_asked_for() -> None:
    kept = {"epochs": 7, "dataset": {"name": "cifar100", "data": "/more"}}
    config = resolve_evaluate(after_search(Request(), "cifar10", CIFAR10, kept)).config
    assert (config.preset, config.epochs, config.dataset.name, config.dataset.data) == (
        "cifar100",
        7,
        "cifar100",
        "/more",
    )
    digits = Request(options={"dataset": {"name": "digits"}})
    assert resolve_evaluate(after_search(digits, "cifar10", CIFAR10, kept)).config.epochs != 7


def test_options_go_over_the_stored_search_and_a_machines_folder_under_it() -> None:
    machine = Request(data_folder="/data")
    assert resolve_evaluate(after_search(machine, "cifar10", CIFAR10)).config.dataset.data == "/images"
    given = machine._replace(options={"dataset": {"data": "/mine"}})
    assert resolve_evaluate(after_search(given, "cifar10", CIFAR10)).config.dataset.data == "/mine"


def test_a_machines_folder_goes_to_a_dataset_that_reads_files_and_has_none_of_its_own() -> None:
    machine = Request("cifar10", data_folder="/data")
    resolved = resolve_search(machine)
    assert (resolved.config.dataset.data, resolved.changed_by["dataset.data"]) == ("/data", "MEDARTS_DATA_DIR")
    assert resolve_search(machine._replace(sets=["dataset.data=/mine"])).config.dataset.data == "/mine"
    assert resolve_search(machine._replace(sets=["dataset.data=null"])).config.dataset.data is None


def test_digits_take_no_machines_folder_whether_searched_or_evaluated() -> None:
    machine = Request(data_folder="/data")
    resolved = resolve_search(machine)
    assert resolved.config == load_search_config()
    assert "dataset.data" not in resolved.changed_by
    stored = {"name": "digits", "data": None}
    assert resolve_evaluate(after_search(machine, "digits", stored)).config.dataset.data is None


@pytest.mark.parametrize(
    "request_for",
    [
        Request(options={"dataset": {"name": "cifar100"}}),
        Request(preset="cifar100"),
        Request(sets=["dataset.name=cifar100"]),
    ],
)
def test_another_dataset_takes_nothing_from_the_stored_search(request_for: Request) -> None:
    config = resolve_evaluate(after_search(request_for, "cifar10", CIFAR10)).config
    assert (config.preset, config.dataset.name) == ("cifar100", "cifar100")
    assert (config.dataset.data, config.dataset.test_share) == (None, 0.2)


def test_a_name_alone_is_laid_to_the_layer_that_gave_it() -> None:
    resolved = resolve_search(Request(sets=["objectives=[accuracy, {name: macs}]", "strategy=darts"]))
    rows = {row.path: row.changed_by for row in resolved_table(*resolved)}
    assert [rows[f"{path}.name"] for path in ("strategy", "objectives.0", "objectives.1")] == ["--set"] * 3
    assert rows["strategy.order"] == rows["objectives.1.direction"] == "default"


def test_children_are_a_number_of_cell_swaps_or_some_by_each_operator() -> None:
    plain = load_search_config(sets=["stages.1.children=2"]).stages[1]
    assert (plain.children, plain.planned_children, plain.size) == (2, ChildrenConfig(swap=2), 5)
    mixed = load_search_config(sets=["stages.1.children={swap: 1, mutation: 3}"])
    assert (mixed.stages[1].planned_children, mixed.stages[1].size) == (ChildrenConfig(swap=1, mutation=3), 7)
    assert SearchConfig.model_validate_json(mixed.model_dump_json()) == mixed
    assert '"children":2' in plain.model_dump_json()
