"""What a population says in the mean, and whose candidate that is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from factories import make_individual, make_search_config_tiny

from medarts_ops.alpha import Alpha, CellAlpha
from medarts_ops.config import DerivedConfig, ObjectiveConfig, ReadingConfig, ResultConfig, SearchConfig
from medarts_ops.errors import ConfigError
from medarts_ops.individual import TrainedIndividual
from medarts_ops.observers import GenotypeTrained, SearchEvent
from medarts_ops.population_reading import consensus_candidate
from medarts_ops.search import run_search
from medarts_ops.space.discretize import discretize
from medarts_ops.worth import CellWorth, Worth

CONFIG = make_search_config_tiny()
SPACE = CONFIG.space.search_space()
N_OPS, N_EDGES = SPACE.n_primitives, SPACE.n_edges
SEP, POOL, SKIP = (SPACE.primitives.index(name) for name in ("sep_conv_3x3", "max_pool_3x3", "skip_connect"))


def individual(number: int, logits: np.ndarray, worth: Worth | None = None) -> TrainedIndividual:
    """A trained one with these α, [edge, op] of both kinds of cell, and the genotype that they say."""
    cell = CellAlpha(arrays={"op_logits": logits})
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return TrainedIndividual(
        individual=make_individual(number),
        alpha=Alpha(normal=cell, reduce=cell),
        genotype=discretize(SPACE, shares, shares),
        valid_accuracy=0.25,
        history=(),
        seconds=1.0,
        worth=worth,
    )


def votes(*strongest: int) -> np.ndarray:
    """α [edge, op] whose edges have that operation, each a little less surely than the one before."""
    logits = np.zeros((N_EDGES, N_OPS), np.float32)
    for edge in range(N_EDGES):
        logits[edge, strongest[edge % len(strongest)]] = 1.0 - 0.01 * edge
    return logits


def test_what_individuals_agree_on_outvotes_the_noise_of_each() -> None:
    # Two thirds of the votes for sep on every edge, though nobody's own genotype has it everywhere.
    population = [
        individual(0, votes(POOL, SEP, SEP)),
        individual(1, votes(SEP, POOL, SEP)),
        individual(2, votes(SEP, SEP, POOL)),
    ]
    found = consensus_candidate(0, population, CONFIG)
    assert found is not None and found.is_consensus
    assert {name for name, _ in found.genotype.normal + found.genotype.reduce} == {"sep_conv_3x3"}
    assert all({name for name, _ in one.genotype.normal} != {"sep_conv_3x3"} for one in population)


def test_it_stands_for_the_individual_of_the_nearest_genotype_which_keeps_its_own_measurements() -> None:
    population = []
    for number, logits in enumerate((votes(POOL), votes(SEP) * 2, votes(POOL, SEP, SEP) * 2)):
        logits[0, SKIP] = logits[0].max() - 0.1  # everyone's second choice, and nobody's own
        population.append(individual(number, logits))
    found = consensus_candidate(0, population, CONFIG)
    assert found is not None and found.individual.id == "init-01"
    assert found.genotype not in [one.genotype for one in population]
    assert found.valid_accuracy == 0.25 and found.discretized_accuracy is None
    assert found.taken_from == "the mean of its population"


@pytest.mark.parametrize("population", [[], [votes(SEP)], [votes(SEP), votes(SEP)]])
def test_who_is_alone_or_already_says_it_leaves_nothing_to_add(population: Sequence[np.ndarray]) -> None:
    assert consensus_candidate(0, [individual(*each) for each in enumerate(population)], CONFIG) is None


def worth(best: int, by: float) -> Worth:
    operations = np.zeros((N_EDGES, N_OPS))
    operations[:, best] = by
    measured = np.ones((N_EDGES, N_OPS), bool)
    measured[:, SPACE.primitives.index("none")] = False
    cell = CellWorth(operations=operations, edges=np.arange(N_EDGES, 0.0, -1.0), measured=measured)
    return Worth(normal=cell, reduce=cell)


def test_where_worth_is_read_the_mean_worth_is_and_what_the_mean_mixture_says_stands_beside_it() -> None:
    found = consensus_candidate(
        0,
        [individual(0, votes(POOL), worth(SEP, 0.3)), individual(1, votes(POOL), worth(SKIP, 0.2))],
        CONFIG.model_copy(update={"reading": ReadingConfig(name="perturbation")}),
    )
    assert found is not None and found.mixture_genotype is not None and found.worth is not None
    assert {name for name, _ in found.genotype.normal} == {"sep_conv_3x3"}
    assert {name for name, _ in found.mixture_genotype.normal} == {"max_pool_3x3"}
    assert found.worth.normal.operations[0, SEP] == pytest.approx(0.15)


def test_the_mean_has_no_more_skips_than_allowed() -> None:
    leaning = [individual(0, votes(SKIP, SEP)), individual(1, votes(SKIP, POOL))]
    found = consensus_candidate(0, leaning, CONFIG.model_copy(update={"max_skips": 1}))
    assert found is not None and found.genotype.skip_count("normal") == 1 and found.skips_set_aside


def test_objectives_of_supernets_do_not_measure_it() -> None:
    with pytest.raises(ConfigError, match=r"consensus_candidate is true and objectives has accuracy.*derived_accuracy"):
        SearchConfig(consensus_candidate=True)


class Trained:
    """Counts the genotypes that were trained alone."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def notify(self, event: SearchEvent) -> None:
        if isinstance(event, GenotypeTrained):
            self.names.append(event.outcome.genotype.identity)


def test_a_search_measures_it_beside_the_individuals_and_takes_it_where_it_is_better(tmp_path: Path) -> None:
    changes = {
        "objectives": (ObjectiveConfig(name="derived_accuracy"), ObjectiveConfig(name="params")),
        "derived": DerivedConfig(cells=3, channels=2, epochs=1, batch=32, images=0.2),
        "result": ResultConfig(rule="weighted", stages="all"),
    }
    alone, beside = Trained(), Trained()
    plain = CONFIG.model_copy(update=changes)
    run_search(plain, tmp_path / "alone", observers=[alone])
    settings = SearchConfig.model_validate(plain.model_dump() | {"consensus_candidate": True})
    result = run_search(settings, tmp_path / "beside", observers=[beside])
    first = result.stages[0].ranked
    assert len(beside.names) > len(alone.names)
    mean = [one for one in first if one.trained.is_consensus]
    assert len(mean) <= 1
    for one in mean:
        assert one.trained.derived is not None and one.trained.derived.genotype == one.trained.genotype
