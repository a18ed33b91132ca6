"""What the values of a proposal study depend on, so that a study can be shared by searches that agree on it."""

from __future__ import annotations

import json

import optuna

from medarts_ops.config import SearchConfig, StrategyConfig
from medarts_ops.errors import ConfigError
from medarts_ops.hyperparameters import STRATEGY, setting_of
from medarts_ops.observers import DatasetSummary
from medarts_ops.strategies.registry import strategy_settings
from medarts_ops.tracking.artifacts.shapes import flattened
from medarts_ops.tracking.vocabulary import CONTRACT
from medarts_ops.value import as_older_release

STRATEGY_NAME = "strategy.name"

_DIFFERS_FREELY = {
    "preset": "where settings started from, not what they are",
    "seed": "what a study gathers over",
    "derived.seed": "likewise",
    "derived.least_steps": "the epochs that it comes to count",
    "result.rule": "which individual is found, not what one comes to",
    "result.stages": "likewise",
    "dataset.name": "the fingerprint says which images they are",
    "dataset.data": "as dataset.name",
    "dataset.resolution": "the fingerprint and the resolution that is seen follow from it",
    "dataset.max_pixels": "which images are refused, not what they are",
    "dataset.fit": "the fingerprint follows from it",
    "dataset.skip_unreadable": "as dataset.fit",
    "dataset.cache": "where images are kept, not which they are",
    "dataset.test_share": "the fingerprint follows from it",
    "min_survivors": "whether a search goes on, not what an individual comes to",
    "prune": "who trains to the stage's end, not what one comes to there",
    "retries": "an individual that is trained again comes to the same",
    "stages.0.name": "a name",
    "stages.0.least_steps": "the epochs that it comes to count",
    "stages.0.population": "how many there are, not what one comes to",
    "proposals.generations": "likewise",
    "proposals.study": "the study's own name",
    "runtime": "bits, not what an individual is worth",
}
"""Settings, and groups of them, in which searches that share a study may differ. All others count, new ones too."""


def study_contract(config: SearchConfig, dataset: DatasetSummary) -> dict[str, object]:
    """Everything that a proposal's accuracy and other objectives depend on, but the proposal and the seed.

    Dotted config keys, the images' fingerprint and the resolution that the supernet sees. Later stages are none of it:
    proposals are for the first alone.
    """
    free = {*_DIFFERS_FREELY, *map(setting_of, config.proposals.ranges)}
    free |= {f"stages.{index}" for index in range(1, len(config.stages))}
    settings = {key: value for key, value in flattened(config).items() if not free.intersection(_and_groups(key))}
    seen = dataset.search_resolution or dataset.resolution
    return settings | {"dataset.fingerprint": dataset.fingerprint, "dataset.seen_resolution": list(seen)}


def _and_groups(key: str) -> set[str]:
    """A dotted key and the groups that it is in."""
    parts = key.split(".")
    return {".".join(parts[:length]) for length in range(1, len(parts) + 1)}


def hold_to_contract(study: optuna.Study, contract: dict[str, object]) -> None:
    """Store the contract in a new study; compare it with the one that an older study holds.

    Raises:
        ConfigError: the study was filled under other settings, or by someone else; names what differs.
    """
    stored = study.user_attrs.get(CONTRACT)
    if stored is None:
        theirs = _what_is_not_ours(study, contract)
        if theirs is not None:
            raise ConfigError(f"study {study.study_name!r} {theirs}: set proposals.study to another name")
        study.set_user_attr(CONTRACT, json.dumps(contract, sort_keys=True))
        return
    # A setting that an older release did not store it did not have, and it worked as the default does, or as was usual
    # then. Objectives are a list, in which one that is missing is none.
    usual = SearchConfig(strategy=strategy_settings(StrategyConfig(name=str(contract[STRATEGY_NAME]))))
    defaults = {
        key: value for key, value in flattened(as_older_release(usual)).items() if not key.startswith("objectives.")
    }
    other = {key: defaults[key] for key in contract.keys() & defaults.keys()} | json.loads(stored)
    differing = sorted(key for key in contract.keys() | other.keys() if contract.get(key) != other.get(key))
    if differing:
        if STRATEGY_NAME in differing:  # its own settings then differ with it
            differing = [key for key in differing if key == STRATEGY_NAME or STRATEGY not in key]
        pairs = [
            (key, *(repr(each[key]) if key in each else "none" for each in (contract, other))) for key in differing
        ]
        shown = "; ".join(f"{key}: got {got}, allowed {allowed}" for key, got, allowed in pairs)
        raise ConfigError(
            f"study {study.study_name!r} belongs to other settings: {shown}; set proposals.study to another name"
        )


def _what_is_not_ours(study: optuna.Study, contract: dict[str, object]) -> str | None:
    """What shows that a study without a contract is somebody else's; None where nothing does, as in a new one."""
    if study.get_trials(deepcopy=False):
        return "holds trials of something else"
    directions = [direction.name.lower() for direction in study.directions]
    names = study.metric_names
    objectives = {key: value for key, value in contract.items() if key.startswith("objectives.")}
    ours = {part: [value for key, value in objectives.items() if key.endswith(part)] for part in ("name", "direction")}
    if directions != ours["direction"]:
        return f"has the directions {directions} of something else, not {ours['direction']}"
    if names is not None and names != ours["name"]:
        return f"has the values {names} of something else, not {ours['name']}"
    return None
