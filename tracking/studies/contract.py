"""What the values of a proposal study depend on, so that a study can be shared by searches that agree on it."""

from __future__ import annotations

import json

import optuna

from medarts_ops.config import SearchConfig
from medarts_ops.errors import ConfigError
from medarts_ops.observers import DatasetSummary
from medarts_ops.tracking.artifacts.shapes import flattened
from medarts_ops.tracking.vocabulary import CONTRACT

_SECTIONS = (
    "alpha.",
    "augment.",
    "holdout_share",
    "objectives.",
    "para_aug.",
    "proposals.space.",
    "ranking_split",
    "space.",
    "stages.0.",
    "strategy.",
    "weights.",
    "dataset.sampling",
    "dataset.low_resolution",
)
_SAMPLED_AS = {
    "alpha_lr": "alpha.lr",
    "weights_lr": "weights.lr",
    "alpha_weight_decay": "alpha.weight_decay",
    "alpha_init_std": "alpha.init_std",
}
_DIFFERS_FREELY = ("stages.0.name", "stages.0.population")


def study_contract(config: SearchConfig, dataset: DatasetSummary) -> dict[str, object]:
    """Everything that a proposal's accuracy and other objectives depend on, but the proposal and the seed.

    Dotted config keys, the images' fingerprint and the resolution that the supernet sees.
    """
    sampled = {_SAMPLED_AS[name] for name in config.proposals.space}
    settings = {
        key: value
        for key, value in flattened(config).items()
        if key.startswith(_SECTIONS) and key not in sampled and key not in _DIFFERS_FREELY
    }
    seen = dataset.search_resolution or dataset.resolution
    return settings | {"dataset.fingerprint": dataset.fingerprint, "dataset.seen_resolution": list(seen)}


def hold_to_contract(study: optuna.Study, contract: dict[str, object]) -> None:
    """Store the contract in a new study; compare it with the one that an older study holds.

    Raises:
        ConfigError: the study was filled under other settings, or by someone else; names what differs.
    """
    stored = study.user_attrs.get(CONTRACT)
    if stored is None:
        if study.get_trials(deepcopy=False):
            raise ConfigError(
                f"study {study.study_name!r} holds trials of something else: set proposals.study to another name"
            )
        study.set_user_attr(CONTRACT, json.dumps(contract, sort_keys=True))
        return
    other = json.loads(stored)
    differing = sorted(key for key in contract.keys() | other.keys() if contract.get(key) != other.get(key))
    if differing:
        shown = "; ".join(f"{key}: got {contract.get(key)!r}, allowed {other.get(key)!r}" for key in differing)
        raise ConfigError(
            f"study {study.study_name!r} belongs to other settings: {shown}; set proposals.study to another name"
        )
