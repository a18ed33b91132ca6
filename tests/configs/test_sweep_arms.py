"""From what is varied to the settings of each combination."""

from __future__ import annotations

from typing import Any

import pytest
from factories import make_genotype

from medarts_ops.configs.loader import Request, resolve_search
from medarts_ops.configs.presets import SettingsFile
from medarts_ops.configs.sweep_arms import AskedSweep, arms_of
from medarts_ops.errors import ConfigError
from medarts_ops.experiments.network import ArmSettings

ONE, OTHER = make_genotype(), make_genotype("skip_connect")


def arms(varied: dict[str, tuple[Any, ...]], request: Request | None = None, **more: Any) -> tuple[ArmSettings, ...]:
    asked = {"genotypes": {}, "evaluate_found": False, **more}
    return arms_of(AskedSweep(request or Request(), varied, **asked))


def test_each_combination_is_a_search_with_its_values() -> None:
    made = arms({"strategy.order": ("first", "second"), "weights.lr": (0.1, 0.2)})
    found = [(arm.search.strategy.model_dump()["order"], arm.search.weights.lr) for arm in made if arm.search]
    assert found == [("first", 0.1), ("first", 0.2), ("second", 0.1), ("second", 0.2)]
    assert all(arm.evaluation is None and arm.genotype is None for arm in made)


def test_what_is_found_is_evaluated_on_the_images_of_its_search() -> None:
    request = Request(options={"dataset": {"name": "npz", "data": "birds.npz"}}, sets=("evaluate.cells=3",))
    made = arms({"dataset.resolution": (16, 32), "evaluate.epochs": (1, 2)}, request, evaluate_found=True)
    found = [(arm.search.dataset.resolution, arm.evaluation.dataset.resolution) for arm in made if arm.evaluation]  # type: ignore[union-attr]
    assert found == [(16, 16), (16, 16), (32, 32), (32, 32)]
    assert [(arm.evaluation.epochs, arm.evaluation.cells) for arm in made if arm.evaluation] == [(1, 3), (2, 3)] * 2
    assert {arm.evaluation.dataset.data for arm in made if arm.evaluation} == {"birds.npz"}


def test_given_genotypes_are_varied_first_and_paths_are_the_evaluations() -> None:
    made = arms({"epochs": (1, 2)}, genotypes={"DARTS_V2": ONE, "mine": OTHER})
    assert [arm.subject for arm in made] == [
        "DARTS_V2, epochs=1",
        "DARTS_V2, epochs=2",
        "mine, epochs=1",
        "mine, epochs=2",
    ]
    assert [arm.name for arm in made][:2] == ["DARTS_V2.epochs-1", "DARTS_V2.epochs-2"]
    assert [arm.genotype for arm in made] == [ONE, ONE, OTHER, OTHER]
    assert [arm.evaluation.epochs for arm in made if arm.evaluation] == [1, 2, 1, 2]
    assert all(arm.search is None for arm in made)


def test_one_genotype_is_named_only_where_nothing_is_varied() -> None:
    assert [arm.name for arm in arms({"epochs": (1,)}, genotypes={"mine": ONE})] == ["epochs-1"]
    assert [(arm.name, arm.subject) for arm in arms({}, genotypes={"mine": ONE})] == [("mine", "mine")]


def test_a_prefix_means_the_same_where_genotypes_are_given() -> None:
    (arm,) = arms({"evaluate.epochs": (3,)}, Request(sets=("evaluate.cells=4",)), genotypes={"mine": ONE})
    assert arm.evaluation is not None and (arm.evaluation.epochs, arm.evaluation.cells) == (3, 4)


def test_varied_values_lie_over_a_files() -> None:
    file = SettingsFile("digits", {"weights": {"lr": 0.5, "momentum": 0.5}}, {})
    (arm,) = arms({"weights.lr": (0.1,)}, Request(config_file=file))
    assert arm.search is not None and (arm.search.weights.lr, arm.search.weights.momentum) == (0.1, 0.5)


def test_a_dataset_that_is_varied_brings_its_preset() -> None:
    made = arms({"dataset.name": ("digits", "cifar10")})
    assert [arm.search.preset for arm in made if arm.search] == ["digits", "cifar10"]


def test_a_varied_preset_lies_below_all_settings_of_search_and_evaluation() -> None:
    file = SettingsFile(None, {"weights": {"momentum": 0.5}}, {})
    request = Request(config_file=file, options={"dataset": {"name": "digits"}}, sets=("evaluate.cells=3",))
    made = arms({"preset": ("darts", "pc-darts"), "evaluate.epochs": (1, 2)}, request, evaluate_found=True)
    assert [arm.subject for arm in made][:2] == ["preset=darts, evaluate.epochs=1", "preset=darts, evaluate.epochs=2"]
    for arm, preset in zip(made, ("darts", "darts", "pc-darts", "pc-darts"), strict=True):
        assert arm.search is not None and arm.evaluation is not None
        assert (arm.search.preset, arm.search.strategy.name, arm.evaluation.preset) == (preset, preset, preset)
        assert (arm.search.weights.momentum, arm.search.dataset.name, arm.evaluation.cells) == (0.5, "digits", 3)
    alone = resolve_search(Request("pc-darts", (), file, {"dataset": {"name": "digits"}})).config
    assert made[-1].search == alone


def test_given_genotypes_are_trained_by_varied_presets() -> None:
    made = arms({"preset": ("digits", "cifar10")}, genotypes={"mine": ONE})
    assert [arm.evaluation.dataset.name for arm in made if arm.evaluation] == ["digits", "cifar10"]


@pytest.mark.parametrize(
    ("varied", "request_", "why"),
    [
        ({"weights.lrr": (1,)}, Request(), "did you mean 'weights.lr'"),
        ({"weights.lr": (-1,)}, Request(), "weights.lr: allowed is more than 0, got -1"),
        ({"weights.lr": (0.1, 0.10)}, Request(), "come to the same settings"),
        (
            {"runtime.device": ("cpu",)},
            Request(options={"runtime": {"device": "cpu"}}),
            "an option sets runtime.device",
        ),
        ({"weights.lr": (0.1,)}, Request(sets=("weights.lr=1",)), "--set sets weights.lr"),
        ({"weights.lr": (0.1,)}, Request(sets=("evaluate.epochs=1",)), "add --evaluate"),
        ({"weights.lr": (0.1,)}, Request(sets=("seed=1",)), "seed is set by --set"),
        ({}, Request(config_file=SettingsFile(None, {"seed": 3}, {})), "seed is set by config file"),
        ({"preset": ("pc-dart",)}, Request(), "--vary preset: unknown preset 'pc-dart'.* did you mean 'pc-darts'"),
        ({"preset": (1,)}, Request(), "--vary preset: unknown preset '1'"),
        ({"preset": ("darts",)}, Request("digits"), "preset is varied, and --preset names digits"),
        (
            {"preset": ("darts",)},
            Request(config_file=SettingsFile("npz", {}, {})),
            "preset is varied, and extends in the file names npz",
        ),
        ({"preset": ("darts",)}, Request(sets=("preset=digits",)), "preset is varied, and --set sets preset"),
    ],
)
def test_what_contradicts_or_is_unknown_is_refused(varied: dict[str, Any], request_: Request, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        arms(varied, request_)
