"""Every proposer gives each round as many proposals as asked for, the same ones when asked again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from factories import (
    make_dataset_summary,
    make_evaluated,
    make_failed,
    make_individual,
    make_search_config_tiny,
    make_trained,
)
from optuna.storages import InMemoryStorage

from medarts_ops.config import ProposalsConfig, RangeConfig
from medarts_ops.individual import EvaluatedIndividual, Hyperparameters
from medarts_ops.proposers import FixedProposer, Proposer
from medarts_ops.tracking.studies.proposer import OptunaProposer

RANGE = RangeConfig(low=3e-4, high=6e-3)
CONFIG = make_search_config_tiny().model_copy(
    update={"proposals": ProposalsConfig(space={"alpha_lr": RANGE}, generations=2)}
)
OWN = Hyperparameters.from_config(CONFIG)

PROPOSERS: dict[str, Callable[[Path], Proposer]] = {
    "fixed": lambda folder: FixedProposer(OWN),
    "optuna": lambda folder: OptunaProposer(InMemoryStorage(), "search-x", CONFIG, make_dataset_summary()),
}


@pytest.fixture(params=PROPOSERS)
def proposer(request: pytest.FixtureRequest, tmp_path: Path) -> Proposer:
    return PROPOSERS[request.param](tmp_path)


def outcome(number: int, hyperparameters: Hyperparameters) -> EvaluatedIndividual:
    individual = make_individual(number, hyperparameters=hyperparameters)
    return make_evaluated(0.1 * number, 1e6 * (5 - number), number, trained=make_trained(individual))


def test_a_round_has_as_many_proposals_as_asked_for(proposer):
    assert len(proposer.propose(0, 4)) == 4


def test_the_first_proposal_is_the_configs_own(proposer):
    assert proposer.propose(0, 3)[0] == OWN


def test_asking_again_gives_the_same(proposer):
    assert proposer.propose(0, 4) == proposer.propose(0, 4)


def test_a_next_round_comes_after_telling_failures_too(proposer):
    first = proposer.propose(0, 4)
    told = [outcome(number, values) for number, values in enumerate(first[:3])]
    failed = make_failed(3).model_copy(update={"individual": make_individual(3, hyperparameters=first[3])})
    proposer.tell(0, [*told, failed])
    assert len(proposer.propose(1, 4)) == 4


def test_what_is_no_part_of_the_space_keeps_the_configs_value(proposer):
    for proposed in proposer.propose(0, 4):
        assert proposed.weights_lr == OWN.weights_lr and RANGE.low <= proposed.alpha_lr <= RANGE.high
