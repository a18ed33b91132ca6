"""The presets that ship and files of their form."""

from __future__ import annotations

from pathlib import Path

import pytest

from medarts_ops.config import TABLE_II, EvaluateConfig, SearchConfig, StageConfig
from medarts_ops.configs import presets
from medarts_ops.configs.loader import load_evaluate_config, load_search_config
from medarts_ops.configs.presets import (
    SettingsFile,
    parse_settings_file,
    preset_for_dataset,
    preset_names,
    preset_section,
    read_settings_file,
)
from medarts_ops.errors import ConfigError
from medarts_ops.networks.counting import count_parameters
from medarts_ops.objectives.ranking_warnings import ENOUGH_STEPS
from medarts_ops.resolving import resolve_config_alone, resolve_evaluate_config
from medarts_ops.space.zoo import zoo
from medarts_ops.strategies.registry import STRATEGIES, strategy_settings

EVOLUTIONS = ("cifar10", "cifar10-paper", "cifar100", "digits", "folder", "imagenet", "npz")
SYSTEMS = tuple(name for name in STRATEGIES.names() if name != "fixed")  # each alone, as published
BASELINES = ("evolution", "random")


def test_these_presets_ship() -> None:
    assert preset_names() == tuple(sorted((*EVOLUTIONS, *SYSTEMS, *BASELINES)))


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_makes_a_search_and_an_evaluation_on_one_dataset(name: str) -> None:
    search, evaluation = load_search_config(name), load_evaluate_config(name)
    assert search.preset == evaluation.preset == name
    assert search.dataset.name == evaluation.dataset.name


@pytest.mark.parametrize("name", EVOLUTIONS)
def test_every_evolution_grows_from_stage_to_stage(name: str) -> None:
    cells = [stage.cells for stage in load_search_config(name).stages]
    assert len(cells) == 3
    assert cells == sorted(set(cells))


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_system_alone_is_one_individual_of_its_own_strategy_at_full_resolution(name: str) -> None:
    config = load_search_config(name)
    assert config.strategy.name == name and not config.dataset.low_resolution and not config.proposals.space
    assert all(stage.size == 1 and stage.images == 1.0 for stage in config.stages)
    elsewhere = load_search_config(name, options={"dataset": {"name": "npz", "data": "x.npz"}})
    assert elsewhere.stages == config.stages and elsewhere.dataset.name == "npz"


SHORT_TRAINING = 0.045
"""What a genotype's short training in preset cifar10 costs of Table II's supernets.

By `medarts search --dry-run` 17 of them take 3 h 55 min on all of 20,000 images, beside 12 h 52 min of supernets;
50,000 cost 2.5 times as much.
"""


def cost(config: SearchConfig) -> float:
    """Of Table II's, in supernets, by cells times images, and in short trainings of genotypes that may be new."""

    def of_supernets(stages: tuple[StageConfig, ...]) -> float:
        images = [each.images if isinstance(each.images, int) else each.images * 50_000 for each in stages]
        return sum(each.size * each.cells * each.epochs * n for each, n in zip(stages, images, strict=True))

    survivors = sum(stage.survivors or 0 for stage in config.stages)  # whose α, if it is not trained, is known
    genotypes = sum(stage.size for stage in config.stages) - (survivors if config.strategy.name == "fixed" else 0)
    return of_supernets(config.stages) / of_supernets(TABLE_II) + SHORT_TRAINING * genotypes * config.trains_genotypes


def test_cifar10_costs_at_most_twice_what_the_papers_own_reading_does() -> None:
    assert 1 == cost(load_search_config("cifar10-paper")) < cost(load_search_config("cifar10")) < 2


@pytest.mark.parametrize("name", BASELINES)
def test_baselines_train_no_alpha_and_cost_what_cifar10_does(name: str) -> None:
    config, evolution = load_search_config(name), load_search_config("cifar10")
    assert config.strategy.name == "fixed"
    assert (config.objectives, config.derived, config.result) == (
        evolution.objectives,
        evolution.derived,
        evolution.result,
    )
    assert cost(config) == pytest.approx(cost(evolution), rel=0.15)


@pytest.mark.parametrize("name", [*SYSTEMS, *BASELINES])
def test_a_system_on_digits_neither_halves_nor_mirrors_them(name: str) -> None:
    digits, options = load_search_config("digits"), {"dataset": {"name": "digits"}}
    config = load_search_config(name, options=options)
    assert (config.dataset, config.augment) == (digits.dataset, digits.augment)
    assert (config.runtime.threads, config.runtime.workers) == (1, 2) and config.stages == load_search_config(
        name
    ).stages
    evaluation = load_evaluate_config(name, options=options)
    assert evaluation.augment == load_evaluate_config("digits").augment
    assert load_search_config(name, options=options, sets=["augment.flip=true"]).augment.flip


def test_cifar10_is_table_ii() -> None:
    assert load_search_config("cifar10").stages == TABLE_II


def test_cifar10_proposes_around_darts_values() -> None:
    config = load_search_config("cifar10")
    space = {name: (bounds.low, bounds.high) for name, bounds in config.proposals.space.items()}
    assert space == {
        "alpha_lr": (3e-4, 6e-3),
        "weights_lr": (0.01, 0.05),
        "alpha_weight_decay": (1e-4, 1e-2),
        "alpha_init_std": (1e-4, 1e-2),
    }
    assert space["alpha_lr"][0] <= config.alpha.lr <= space["alpha_lr"][1]
    assert space["weights_lr"][0] <= config.weights.lr <= space["weights_lr"][1]


def test_the_papers_own_reading_is_the_models_defaults() -> None:
    paper, defaults = load_search_config("cifar10-paper"), SearchConfig()
    changes = {name: getattr(defaults, name) for name in ("preset", "dataset", "strategy")}
    assert paper.model_copy(update=changes) == defaults and paper.strategy == strategy_settings(defaults.strategy)
    assert [each.name for each in paper.objectives] == ["accuracy", "params"] and paper.proposals.space == {}


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "folder", "npz", "imagenet"])
def test_cifar10_and_what_follows_it_choose_by_the_genotypes_own_networks(name: str) -> None:
    config = load_search_config(name)
    assert [each.name for each in config.objectives] == ["derived_accuracy", "params"]
    assert (config.result.rule, config.result.stages, config.result.weights) == ("weighted", "all", {})
    assert (config.candidates, config.most_candidates, config.sieve) == ("epochs", 1, "params")
    assert (config.derived.cells, config.derived.channels, config.derived.epochs) == (6, 8, 10)
    # A tenth of the images that CIFAR-10 has must not mean a tenth of the steps.
    assert config.derived.least_steps == 1000


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "folder", "npz"])
def test_evaluation_is_darts_setting_except_on_digits(name: str) -> None:
    config = load_evaluate_config(name)
    defaults = EvaluateConfig()
    assert config.model_copy(update={"preset": defaults.preset, "dataset": defaults.dataset}) == defaults


def test_photos_are_evaluated_as_published_on_imagenet() -> None:
    config = load_evaluate_config("imagenet")
    of_darts = {"cells": 14, "channels": 48, "epochs": 250, "batch": 128, "label_smoothing": 0.1, "drop_path": 0.0}
    assert config.model_dump(include=set(of_darts)) == of_darts and config.auxiliary.weight == 0.4
    rate = config.weights
    assert (rate.lr, rate.weight_decay, rate.momentum, rate.grad_clip) == (0.1, 3e-5, 0.9, 5.0)
    assert (rate.schedule, rate.lr_min, config.warmup_epochs) == ("linear", 0.0, 5)  # P-DARTS, PC-DARTS
    assert (config.augment.random_resized_crop, config.augment.cutout, config.augment.flip) == (0.08, 0, True)
    resolved = resolve_evaluate_config(config, (224, 224))
    sizes = {"cells": resolved.cells, "channels": resolved.channels, "stem": resolved.stem}
    counted = count_parameters(zoo()["DARTS_V2"].genotype, **sizes, n_classes=1000, in_channels=3)
    assert counted == 4_718_752  # published: 4.7 M
    # What a search of it counts is what is evaluated.
    search = resolve_config_alone(load_search_config("imagenet"), (112, 112))
    assert search.stem == "imagenet" and search.para_aug.model_dump() == sizes


@pytest.mark.parametrize("name", ["folder", "npz", "imagenet"])
def test_images_of_ones_own_are_searched_in_steps_enough_to_rank(name: str) -> None:
    stages = load_search_config(name).stages
    assert all(stage.least_steps >= ENOUGH_STEPS for stage in stages)


def test_digits_are_neither_mirrored_nor_halved_nor_blanked() -> None:
    search, evaluation = load_search_config("digits"), load_evaluate_config("digits")
    assert not (search.augment.flip or evaluation.augment.flip or search.dataset.low_resolution)
    assert evaluation.augment.cutout == 0


@pytest.mark.parametrize("name", ["digits", "cifar10", "cifar100", "folder", "npz"])
def test_a_dataset_has_the_preset_of_its_name(name: str) -> None:
    assert preset_for_dataset(name) == name


@pytest.mark.parametrize("name", ["cifar1O", "cifar10-paper"])
def test_an_unknown_dataset_is_refused_with_the_near_miss(name: str) -> None:
    with pytest.raises(ConfigError, match=r"dataset.name: unknown dataset .* did you mean 'cifar10"):
        preset_for_dataset(name)


def test_an_unknown_preset_is_refused_with_the_near_miss() -> None:
    with pytest.raises(ConfigError, match=r"unknown preset 'digit': allowed are .*; did you mean 'digits'\?"):
        preset_section("digit", "search")


def test_presets_that_extend_each_other_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    circle = {"a": "b", "b": "c", "c": "a"}
    monkeypatch.setattr(presets, "_read_preset", lambda name: SettingsFile(circle[name], {}, {}))
    with pytest.raises(ConfigError, match=r"circle: a → b → c → a"):
        preset_section("a", "search")


def test_a_preset_lies_over_the_one_that_it_extends() -> None:
    assert preset_section("cifar100", "search")["proposals"] == preset_section("cifar10", "search")["proposals"]
    assert preset_section("cifar100", "search")["dataset"] == {"name": "cifar100"}


def test_an_unknown_section_is_refused_with_the_near_miss() -> None:
    with pytest.raises(ConfigError, match=r"my file: unknown section 'serach': .* did you mean 'search'\?"):
        parse_settings_file("serach: {seed: 1}", "my file")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- search", r"my file holds \['search'\]"),
        ("search: 3", r"my file: search is 3, allowed is a mapping"),
        ("extends: [a, b]", r"my file: extends is \['a', 'b'\]"),
    ],
)
def test_a_part_of_the_wrong_kind_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_settings_file(text, "my file")


@pytest.mark.parametrize("text", ["", "search:\nevaluate:\n"])
def test_an_empty_file_sets_nothing(text: str) -> None:
    assert parse_settings_file(text, "my file") == SettingsFile(None, {}, {})


def test_a_config_file_that_is_missing_or_no_text_is_refused(tmp_path: Path) -> None:
    binary = tmp_path / "a.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    for path, reason in ((tmp_path / "none.yaml", "No such file"), (tmp_path, "Is a directory"), (binary, "no UTF-8")):
        with pytest.raises(ConfigError, match=reason):
            read_settings_file(path)
