"""What searches that share a proposal study have to agree on."""

from __future__ import annotations

import json

import optuna
import pytest
from factories import make_dataset_summary, make_search_config_tiny

from medarts_ops.config import ProposalsConfig, RangeConfig, ResolvedSearchConfig, SearchConfig
from medarts_ops.errors import ConfigError
from medarts_ops.strategies.snas import SnasSettings
from medarts_ops.tracking.artifacts.shapes import flattened
from medarts_ops.tracking.studies.contract import CONTRACT, hold_to_contract, study_contract

BEFORE: dict[str, object] = {
    "dataset.sampling": "balanced",
    "dataset.low_resolution": False,
    "space.nodes": 2,
    "space.primitives": '["none", "max_pool_3x3", "skip_connect", "sep_conv_3x3"]',
    "strategy.name": "darts",
    "strategy.order": "first",
    "strategy.finite_difference": 0.01,
    "weights.lr": 0.025,
    "weights.lr_min": 0.001,
    "weights.momentum": 0.9,
    "weights.weight_decay": 0.0003,
    "weights.grad_clip": 5.0,
    "alpha.beta1": 0.5,
    "alpha.beta2": 0.999,
    "alpha.weight_decay": 0.001,
    "alpha.init_std": 0.001,
    "alpha.warmup_epochs": 0,
    "augment.crop_padding": None,
    "augment.flip": True,
    "augment.cutout": 0,
    "ranking_split": "alpha",
    "holdout_share": 0.2,
    "stages.0.cells": 3,
    "stages.0.channels": 2,
    "stages.0.epochs": 1,
    "stages.0.images": 80,
    "stages.0.batch": 20,
    "stages.0.survivors": None,
    "stages.0.children": 0,
    "objectives.0.name": "accuracy",
    "objectives.0.direction": "maximize",
    "objectives.1.name": "params",
    "objectives.1.direction": "maximize",
    "para_aug.cells": 3,
    "para_aug.channels": 4,
    "proposals.space.alpha_lr.low": 0.0003,
    "proposals.space.alpha_lr.high": 0.006,
    "dataset.fingerprint": "0123456789ab",
    "dataset.seen_resolution": [8, 8],
}
"""As the release before `runtime.executor` stored it, for the search below."""

ADDED: dict[str, object] = {
    "stem": "cifar",
    "weights.schedule": "cosine",
    "augment.random_resized_crop": None,
    "para_aug.stem": "cifar",
    "candidates": "last",
    "most_candidates": 3,
    "sieve": "lasted",
    "consensus_candidate": False,
    "levels": "bilevel",
    "strategy.beta": 0.0,
    "derived.batch": 128,
    "derived.cells": 10,
    "derived.channels": 10,
    "derived.epochs": 15,
    "derived.held_out": 0.2,
    "derived.images": 1.0,
    "derived.lr": 0.03,
    "max_skips": None,
    "alpha.warmup": None,
    "stages.0.warmup": None,
    "stages.0.alpha_rate": 1.0,
    "reading.name": "mixture",
    "reading.images": 512,
}
"""What later releases added, at the defaults that change nothing."""


def config_with(**changes: object) -> ResolvedSearchConfig:
    proposals = ProposalsConfig(space={"alpha_lr": RangeConfig(low=3e-4, high=6e-3)}, study="shared")
    return make_search_config_tiny().model_copy(update={"proposals": proposals, **changes})


def study_holding(contract: dict[str, object]) -> optuna.Study:
    study = optuna.create_study()
    study.set_user_attr(CONTRACT, json.dumps(contract, sort_keys=True))
    return study


def test_a_contract_of_before_is_that_of_equal_settings_today() -> None:
    contract = study_contract(config_with(), make_dataset_summary())
    assert contract == BEFORE | ADDED
    hold_to_contract(study_holding(BEFORE), contract)


def test_every_setting_counts_unless_it_is_one_that_differs_freely() -> None:
    config = config_with()
    free = set(flattened(config)) - set(study_contract(config, make_dataset_summary()))
    assert free == {
        "preset",
        "seed",
        "derived.seed",
        "derived.least_steps",
        "result.rule",
        "result.stages",
        "dataset.name",
        "dataset.data",
        "dataset.resolution",
        "dataset.max_pixels",
        "dataset.fit",
        "dataset.skip_unreadable",
        "dataset.cache",
        "dataset.test_share",
        "alpha.lr",  # sampled
        "min_survivors",
        "prune.after",
        "prune.keep",
        "retries",
        "stages.0.name",
        "stages.0.least_steps",
        "stages.0.population",
        *(key for key in flattened(config) if key.startswith(("runtime.", "stages.1.", "stages.2."))),
        "proposals.generations",
        "proposals.study",
    }


def test_a_setting_that_a_later_release_adds_counts_and_an_older_contract_has_its_default() -> None:
    contract = study_contract(config_with(), make_dataset_summary())
    older = {key: value for key, value in BEFORE.items() if key != "alpha.warmup_epochs"}
    hold_to_contract(study_holding(older), contract)
    with pytest.raises(ConfigError, match="alpha.warmup_epochs: got 3, allowed 0"):
        hold_to_contract(study_holding(older), contract | {"alpha.warmup_epochs": 3})


def test_an_objective_more_is_another_contract() -> None:
    contract = study_contract(config_with(), make_dataset_summary())
    one = {key: value for key, value in BEFORE.items() if not key.startswith("objectives.1")}
    with pytest.raises(ConfigError, match=r"objectives.1.direction: .*objectives.1.name: got 'params', allowed none"):
        hold_to_contract(study_holding(one), contract)


def test_what_a_contract_holds_and_this_release_does_not_know_is_a_difference() -> None:
    contract = study_contract(config_with(), make_dataset_summary())
    with pytest.raises(ConfigError, match="strategy.of_the_future: got none, allowed 7"):
        hold_to_contract(study_holding(BEFORE | {"strategy.of_the_future": 7}), contract)


def test_another_strategy_is_named_without_the_settings_that_differ_with_it() -> None:
    contract = study_contract(config_with(strategy=SnasSettings(name="snas")), make_dataset_summary())
    said = "settings: strategy.name: got 'snas', allowed 'darts'; set proposals.study to another name"
    with pytest.raises(ConfigError, match=said):
        hold_to_contract(study_holding(BEFORE), contract)


def test_other_places_of_computing_and_later_stages_are_the_same_contract() -> None:
    config = config_with()
    elsewhere = config.model_copy(
        update={
            "seed": 5,
            "runtime": config.runtime.model_copy(update={"threads": 2, "executor": "processes"}),
            "stages": config.stages[:1],
            "retries": 2,
        }
    )
    assert study_contract(elsewhere, make_dataset_summary()) == BEFORE | ADDED
    assert study_contract(SearchConfig.model_validate(elsewhere.model_dump()), make_dataset_summary()) == BEFORE | ADDED
