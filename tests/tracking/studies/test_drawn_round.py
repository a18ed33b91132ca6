"""A round of proposals is the same whichever write its process died at, and leaves no trial behind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import optuna
import pytest
from factories import make_dataset_summary, make_evaluated, make_individual, make_search_config_tiny, make_trained
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState, create_trial

from medarts_ops.config import ProposalsConfig, RangeConfig
from medarts_ops.individual import FailedIndividual, Hyperparameters, Measured
from medarts_ops.tracking.studies.proposer import OptunaProposer

SPACE = {
    "alpha_lr": RangeConfig(low=3e-4, high=6e-3),
    "weights_lr": RangeConfig(low=0.01, high=0.05),
}
WRITES = ("create_new_", "set_", "delete_")
NAME = "medarts.proposal"


class Died(BaseException):
    """The process is gone."""


def dying_storage(at: int, *, after: bool) -> tuple[InMemoryStorage, list[int]]:
    """A storage whose `at`-th write raises, before or after it did its work, and the count of writes."""
    storage, calls = InMemoryStorage(), [0]

    def dying(write: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(write)
        def counted(*arguments: Any, **named: Any) -> Any:
            calls[0] += 1
            if calls[0] == at and not after:
                raise Died
            number = calls[0]
            try:
                return write(*arguments, **named)
            finally:
                if number == at:
                    raise Died

        return counted

    for name in dir(storage):
        if name.startswith(WRITES):
            setattr(storage, name, dying(getattr(storage, name)))
    return storage, calls


def proposer_on(storage: InMemoryStorage, search: str = "mine", study: str | None = None) -> OptunaProposer:
    config = make_search_config_tiny(len(search))
    config = config.model_copy(update={"proposals": ProposalsConfig(space=SPACE, study=study)})
    return OptunaProposer(storage, search, config, make_dataset_summary())


def outcomes_of(proposals: Sequence[Hyperparameters]) -> list[Measured]:
    """The second one failed."""
    members = [make_individual(number, hyperparameters=each) for number, each in enumerate(proposals)]
    failed = FailedIndividual(individual=members[1], reason="loss is NaN", cause="crashed")
    good = [make_evaluated(0.5 + 0.01 * each.number, 3e6, trained=make_trained(each)) for each in members]
    return [good[0], failed, *good[2:]]


def two_rounds(storage: InMemoryStorage) -> list[Hyperparameters]:
    first = proposer_on(storage).propose(0, 4)
    proposer_on(storage).tell(0, outcomes_of(first))
    return [*first, *proposer_on(storage).propose(1, 4)]


def held(storage: InMemoryStorage, study: str = "mine/proposals") -> Any:
    found = optuna.load_study(study_name=study, storage=storage)
    told = [
        (trial.number, trial.state.name, trial.params, trial.values, trial.user_attrs, trial.system_attrs)
        for trial in found.get_trials()
    ]
    return found.directions, found.user_attrs, told


def n_writes() -> int:
    storage, calls = dying_storage(0, after=False)
    two_rounds(storage)
    return calls[0]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(1, n_writes() + 1))
def test_whichever_write_a_process_dies_at_the_next_one_proposes_the_same(at: int, after: bool) -> None:
    undisturbed, (storage, _) = InMemoryStorage(), dying_storage(at, after=after)
    expected = two_rounds(undisturbed)
    with pytest.raises(Died):
        two_rounds(storage)
    assert two_rounds(storage) == expected
    assert held(storage) == held(undisturbed)


@pytest.mark.parametrize("written", range(1, 5), ids=lambda n: f"{n - 1} trials")
def test_what_others_do_to_a_shared_study_meanwhile_changes_no_round_that_was_drawn(written: int) -> None:
    def seeded(storage: InMemoryStorage) -> OptunaProposer:
        earlier = proposer_on(storage, "earlier", "shared")
        earlier.tell(0, outcomes_of(earlier.propose(0, 4)))
        return proposer_on(storage, "mine", "shared")

    whole, calls = dying_storage(0, after=False)
    proposer, before = seeded(whole), calls[0]
    expected = proposer.propose(0, 4)
    opened = 1  # a study is looked for by trying to create it
    storage, _ = dying_storage(before + opened + written, after=True)
    with pytest.raises(Died):
        seeded(storage).propose(0, 4)
    other = proposer_on(storage, "other", "shared")
    other.tell(0, outcomes_of(other.propose(0, 6)))
    assert proposer_on(storage, "mine", "shared").propose(0, 4) == expected
    assert [trial[4].get(NAME) for trial in held(storage, "shared")[2]].count("mine/0/3") == 1


def test_a_round_that_an_earlier_release_asked_in_part_ends_as_one_that_it_asked_whole() -> None:
    storage, whole = InMemoryStorage(), InMemoryStorage()
    expected = proposer_on(whole).propose(0, 4)
    proposer_on(storage).propose(0, 0)
    first, *_ = optuna.load_study(study_name="mine/proposals", storage=whole).get_trials()
    study = optuna.load_study(study_name="mine/proposals", storage=storage)
    study.add_trial(first)  # it asked for two, and died before it named the second
    study.ask(
        {
            name: optuna.distributions.FloatDistribution(limits.low, limits.high, log=True)
            for name, limits in SPACE.items()
        }
    )
    assert proposer_on(storage).propose(0, 4) == expected
    trials = study.get_trials()
    assert [trial.state.name for trial in trials] == ["RUNNING", "FAIL", "RUNNING", "RUNNING", "RUNNING"]
    assert [trial.user_attrs.get(NAME) for trial in trials] == ["mine/0/0", None, "mine/0/1", "mine/0/2", "mine/0/3"]


def test_a_first_proposal_that_an_earlier_release_only_queued_is_proposed() -> None:
    storage = InMemoryStorage()
    proposer_on(storage).propose(0, 0)
    own = proposer_on(InMemoryStorage()).propose(0, 1)[0]
    queued = {"fixed_params": {name: getattr(own, name) for name in SPACE}}
    study = optuna.load_study(study_name="mine/proposals", storage=storage)
    study.add_trial(create_trial(state=TrialState.WAITING, system_attrs=queued))
    assert proposer_on(storage).propose(0, 2)[0] == own
    assert [trial.state.name for trial in study.get_trials()] == ["FAIL", "RUNNING", "RUNNING"]


def test_a_nameless_trial_of_a_shared_study_is_left_to_whoever_asked_it() -> None:
    storage = InMemoryStorage()
    proposer = proposer_on(storage, study="shared")
    optuna.load_study(study_name="shared", storage=storage).ask()
    proposer.propose(0, 2)
    assert held(storage, "shared")[2][0][1] == "RUNNING"


def test_outcomes_that_were_told_to_a_lost_study_in_part_are_completed() -> None:
    outcomes = outcomes_of(proposer_on(InMemoryStorage()).propose(0, 3))
    whole = InMemoryStorage()
    proposer_on(whole).tell(0, outcomes)
    for at in (4, 5, 6):
        storage, _ = dying_storage(at, after=True)
        with pytest.raises(Died):
            proposer_on(storage).tell(0, outcomes)
        proposer_on(storage).tell(0, outcomes)
        assert held(storage) == held(whole)


def test_a_proposer_leaves_no_study_of_its_own_before_it_is_asked() -> None:
    storage = InMemoryStorage()
    proposer_on(storage)
    assert storage.get_all_studies() == []
