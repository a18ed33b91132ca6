"""Every strategy that ships goes through a whole search: stages, inheritance, crossover, and a stop in the middle."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from clocks import without_clocks
from factories import make_search_config_tiny, make_search_runtime

from medarts_ops.alpha import Alpha
from medarts_ops.config import ProposalsConfig, RangeConfig, SearchConfig, SpaceConfig, StrategyConfig
from medarts_ops.data.search_data import prepare_search_data
from medarts_ops.errors import ConfigError
from medarts_ops.executors.local import LocalExecutor
from medarts_ops.executors.processes import ProcessExecutor
from medarts_ops.executors.protocol import Executor
from medarts_ops.individual import Hyperparameters, Measured, SearchResult, TrainedIndividual
from medarts_ops.observers import EpochFinished, SearchEvent
from medarts_ops.populations import random_individual
from medarts_ops.resolving import resolve_config_alone
from medarts_ops.search import resume_search, run_search
from medarts_ops.strategies.registry import STRATEGIES, strategy_settings
from medarts_ops.tasks import TrainingTask, stacks_of

PRIMITIVES = ("none", "max_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_3x3")


def config_of(name: str, **settings: object) -> SearchConfig:
    tiny = make_search_config_tiny()
    pairs = zip(tiny.stages, (1, 2, 1), strict=True)
    few = {"channels": 4, "images": 40}  # a step an epoch
    stages = tuple(stage.model_copy(update=few | {"epochs": epochs}) for stage, epochs in pairs)
    strategy = strategy_settings(StrategyConfig.model_validate({"name": name} | settings))
    changes = {"stages": stages, "strategy": strategy, "space": SpaceConfig(nodes=2, primitives=PRIMITIVES)}
    return tiny.model_copy(update=changes)


@cache
def whole(name: str) -> SearchResult:
    with TemporaryDirectory() as folder:
        return run_search(config_of(name), Path(folder) / "whole")


class StopInMid:
    """Ctrl-C after the first epoch of the second stage's second individual."""

    def notify(self, event: SearchEvent) -> None:
        if isinstance(event, EpochFinished) and event.individual_id == "mid-01":
            raise KeyboardInterrupt


@pytest.mark.parametrize("name", STRATEGIES.names())
def test_stopped_in_a_later_stage_and_resumed_it_is_bit_equal_to_one_that_never_was(name: str, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_search(config_of(name), tmp_path, observers=[StopInMid()])
    found, expected = (each.model_dump(mode="json") for each in (resume_search(tmp_path), whole(name)))
    assert without_clocks(found) == without_clocks(expected)


@pytest.mark.parametrize("name", STRATEGIES.names())
def test_what_it_finds_are_genotypes_of_operations_that_it_has_left(name: str) -> None:
    config = config_of(name)
    space = config.space.search_space()
    for ranked in (ranked for stage in whole(name).stages for ranked in stage.ranked):
        for kind, cell in (("normal", ranked.trained.alpha.normal), ("reduce", ranked.trained.alpha.reduce)):
            for place, (operation, source) in enumerate(ranked.trained.genotype.edges(kind)):
                assert operation != "none"
                edge = space.edges.index((source, 2 + place // 2))
                assert cell.mask is None or cell.mask[edge, space.primitives.index(operation)]


def one_task_each(folder: Path, **runtime: object) -> list[TrainingTask]:
    """Of every strategy one individual in its first stage, numbered through; all on the same few images."""
    path = folder / "stage.npz"
    prepare_search_data(config_of("darts")).stages[0].save(path)
    tasks = []
    for number, name in enumerate(STRATEGIES.names()):
        config = resolve_config_alone(config_of(name), (8, 8))
        config = config.model_copy(update={"runtime": config.runtime.model_copy(update=runtime)})
        who = random_individual(config, number)
        tasks.append(TrainingTask(individuals=(who,), stage=config.stages[0], config=config, stage_data=str(path)))
    return tasks


def trained(executor: Executor, tasks: list[TrainingTask]) -> dict[int, Alpha]:
    outcomes = list(executor.run(tasks, lambda who, record: None))
    return {one.individual.number: one.alpha for one in outcomes if isinstance(one, TrainedIndividual)}


def test_worker_processes_train_every_strategy_to_the_same_bits(tmp_path: Path) -> None:
    tasks = one_task_each(tmp_path)
    with closing(ProcessExecutor(make_search_runtime(workers=2))) as processes:
        found = trained(processes, tasks)
    assert found == trained(LocalExecutor(make_search_runtime()), tasks) and len(found) == len(tasks)


@pytest.mark.parametrize("amp", ["fp16", "bf16"])
def test_every_strategy_trains_in_mixed_precision_and_keeps_alpha_in_float32(amp: str, tmp_path: Path) -> None:
    tasks = one_task_each(tmp_path, amp=amp)
    found = trained(LocalExecutor(make_search_runtime()), tasks)
    assert len(found) == len(tasks)
    for array in (array for alpha in found.values() for cell in alpha.cells for array in cell.arrays.values()):
        assert array.dtype == np.float32 and np.isfinite(array).all()


def kl_of(number: int) -> dict[str, float]:
    return {"strategy.kl": 0.7 if number == 2 else 0.0}


class KlProposer:
    """Gives the third individual another weight of DrNAS's regularizer than the others."""

    def propose(self, round: int, n: int) -> tuple[Hyperparameters, ...]:
        own = Hyperparameters.from_config(config_of("dr-nas"))
        return tuple(own.with_values(kl_of(number)) for number in range(n))

    def tell(self, round: int, outcomes: Sequence[Measured]) -> None:
        """Learns nothing."""


def test_an_individual_is_trained_by_its_own_numbers_of_the_strategy_and_so_are_its_heirs(tmp_path: Path) -> None:
    found = run_search(config_of("dr-nas"), tmp_path / "proposed", proposer=KlProposer())
    stronger = run_search(config_of("dr-nas", kl=0.7), tmp_path / "stronger")
    trained = {each.id: each.trained for each in found.stages[0].ranked}
    for number in range(3):
        same = stronger if number == 2 else whole("dr-nas")
        (expected,) = (each.trained for each in same.stages[0].ranked if each.trained.individual.number == number)
        assert trained[expected.individual.id].alpha == expected.alpha
    numbers = {who: each.individual.hyperparameters.strategy for who, each in trained.items()}
    for heir in (each.trained.individual for stage in found.stages[1:] for each in stage.ranked):
        numbers[heir.id] = heir.hyperparameters.strategy
        assert heir.hyperparameters.strategy == numbers[heir.parents[0]]


def test_who_has_other_numbers_of_the_strategy_is_not_stacked_with_others() -> None:
    config = config_of("dr-nas")
    own = Hyperparameters.from_config(config)
    group = [random_individual(config, number, own.with_values(kl_of(number % 4))) for number in range(6)]
    stacks = stacks_of(config, config.stages[0], group, 8)
    assert [[each.number for each in stack] for stack in stacks] == [[0, 1, 3, 4, 5], [2]]


@pytest.mark.parametrize(
    ("name", "ranges", "stack", "said"),
    [
        (
            "dr-nas",
            {"kll": (1e-3, 1.0)},
            "auto",
            "proposals.strategy: unknown fractional number of strategy 'dr-nas' .* 'kll'.* 'kl'",
        ),
        ("darts", {"kl": (1e-3, 1.0)}, "auto", "'kl': allowed are beta$"),
        (
            "darts",
            {"finite_difference": (1e-3, 1.0)},
            "auto",
            "with an effect here: 'finite_difference': allowed are beta$",
        ),
        (
            "pc-darts",
            {"channel_share": (1, 4)},
            "auto",
            "unknown fractional number of strategy 'pc-darts' .* 'channel_share'",
        ),
        ("fixed", {"kl": (1e-3, 1.0)}, "auto", "allowed are none"),
        ("asap", {"prune_below": (0.1, 2.0)}, "auto", "proposals.strategy.prune_below.high: strategy.prune_below"),
        ("dr-nas", {"kl": (1e-3, 1.0)}, 4, "runtime.stack is 4 and proposals.strategy ranges over kl"),
    ],
)
def test_proposals_of_what_is_no_number_of_the_strategy_are_refused_in_one_line(name, ranges, stack, said) -> None:
    limits = {key: RangeConfig(low=low, high=high) for key, (low, high) in ranges.items()}
    config = config_of(name)
    runtime = config.runtime.model_copy(update={"stack": stack})
    with pytest.raises(ConfigError, match=said):
        resolve_config_alone(
            config.model_copy(update={"proposals": ProposalsConfig(strategy=limits), "runtime": runtime}), (8, 8)
        )


def test_an_alpha_that_is_fixed_stays_as_it_was_at_birth() -> None:
    for ranked in (ranked for stage in whole("fixed").stages for ranked in stage.ranked):
        assert ranked.trained.alpha == ranked.trained.individual.alpha
        assert all(record.alpha_loss is None for record in ranked.trained.history)
    assert all(ranked.trained.history[0].alpha_loss is not None for ranked in whole("darts").stages[0].ranked)


def test_p_darts_leaves_the_last_stage_three_operations_an_edge() -> None:
    final = whole("p-darts").stages[-1].ranked[0].trained.alpha
    assert all(cell.mask is not None and cell.mask.sum(axis=1).max() <= 3 for cell in final.cells)


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("gdas", {"order": "second"}, "strategy.order"),
        ("pc-darts", {"chanel_share": 2}, "channel_share"),
        ("snas", {"temperature_last": 0}, "strategy.temperature_last"),
        ("p-darts", {"operations": [5, 8]}, "strategy"),
        ("darts", {"channel_share": 4}, "strategy.channel_share"),
    ],
)
def test_settings_of_another_strategy_or_out_of_range_are_refused_in_one_line(name, settings, said) -> None:
    with pytest.raises(ConfigError, match=said):
        config_of(name, **settings)


def test_channels_that_a_quarter_does_not_divide_are_refused_by_the_stage() -> None:
    config = config_of("pc-darts")
    odd = config.model_copy(update={"stages": tuple(s.model_copy(update={"channels": 6}) for s in config.stages)})
    with pytest.raises(ConfigError, match=r"stages\.0\.channels"):
        resolve_config_alone(odd, (8, 8))


def test_single_level_wants_images_to_rank_by_and_first_order() -> None:
    with pytest.raises(ConfigError, match="set ranking_split to holdout"):
        SearchConfig(levels="single")
    second = config_of("darts", order="second").model_copy(update={"levels": "single", "ranking_split": "holdout"})
    with pytest.raises(ConfigError, match="strategy.order is second and levels single"):
        resolve_config_alone(second, (8, 8))
