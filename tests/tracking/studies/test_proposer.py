"""Optuna's proposals: rounds, generations, resuming, and studies that searches share."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path

import optuna
import pytest
from factories import (
    make_dataset_summary,
    make_evaluated,
    make_individual,
    make_pruned,
    make_search_config_tiny,
    make_trained,
)
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.trial import TrialState

from medarts_ops.config import AlphaConfig, ProposalsConfig, RangeConfig, SearchConfig
from medarts_ops.errors import ConfigError, SearchError, StoreError
from medarts_ops.individual import EvaluatedIndividual, FailedIndividual, Hyperparameters
from medarts_ops.proposers import FixedProposer
from medarts_ops.strategies.snas import SnasSettings
from medarts_ops.tracking.stores.study_storage import open_study_storage
from medarts_ops.tracking.studies.proposer import OptunaProposer, make_proposer

GENERATION = "NSGAIISampler:generation"
SPACE = {
    "alpha_lr": RangeConfig(low=3e-4, high=6e-3),
    "weights_lr": RangeConfig(low=0.01, high=0.05),
}


def config_with(seed: int = 0, study: str | None = None, **changes: object) -> SearchConfig:
    proposals = ProposalsConfig(space=SPACE, study=study)
    return make_search_config_tiny(seed).model_copy(update={"proposals": proposals} | changes)


def proposer_on(
    storage: BaseStorage, search_id: str = "search-a", config: SearchConfig | None = None
) -> OptunaProposer:
    return OptunaProposer(storage, search_id, config or config_with(), make_dataset_summary())


def outcomes_of(
    proposals: Sequence[Hyperparameters], failed: Sequence[int] = ()
) -> list[EvaluatedIndividual | FailedIndividual]:
    outcomes: list[EvaluatedIndividual | FailedIndividual] = []
    for number, hyperparameters in enumerate(proposals):
        individual = make_individual(number, hyperparameters=hyperparameters)
        if number in failed:
            outcomes.append(FailedIndividual(individual=individual, reason="loss is NaN", cause="crashed"))
        else:
            trained = make_trained(individual)
            outcomes.append(make_evaluated(0.5 + 0.01 * number, 3e6 - number, trained=trained))
    return outcomes


@pytest.fixture(params=["memory", "journal"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> BaseStorage:
    in_memory = request.param == "memory"
    return InMemoryStorage() if in_memory else open_study_storage(f"journal:{tmp_path / 'studies.log'}")


def test_the_configs_own_values_are_proposed_first(storage: BaseStorage) -> None:
    first, *others = proposer_on(storage).propose(0, 4)
    assert first == Hyperparameters.from_config(config_with())
    assert len({other.alpha_lr for other in others} - {first.alpha_lr}) == 3


def test_own_values_outside_the_ranges_are_not_proposed(storage: BaseStorage) -> None:
    proposals = proposer_on(storage, config=config_with(alpha=AlphaConfig(lr=0.1))).propose(0, 4)
    assert all(3e-4 <= proposal.alpha_lr <= 6e-3 for proposal in proposals)


def test_proposals_stay_in_the_space_and_the_rest_is_the_configs(storage: BaseStorage) -> None:
    for proposal in proposer_on(storage, config=config_with(alpha=AlphaConfig(init_std=0.7))).propose(0, 5):
        assert 0.01 <= proposal.weights_lr <= 0.05 and 3e-4 <= proposal.alpha_lr <= 6e-3
        assert (proposal.alpha_init_std, proposal.alpha_weight_decay) == (0.7, 1e-3)


def test_shares_of_warm_up_are_proposed_first_the_configs_own_if_it_has_one(storage: BaseStorage) -> None:
    space = ProposalsConfig(space={**SPACE, "alpha_warmup": RangeConfig(low=0.1, high=0.5)})
    proposed = proposer_on(storage, config=config_with(proposals=space)).propose(0, 4)
    assert all(0.1 <= (each.alpha_warmup or 0) <= 0.5 for each in proposed)
    with_own = config_with(alpha=AlphaConfig(warmup=0.35), proposals=space)
    first, *_ = proposer_on(InMemoryStorage(), config=with_own).propose(0, 4)
    assert first == Hyperparameters.from_config(with_own) and first.alpha_warmup == 0.35


def test_a_strategys_own_numbers_are_proposed_and_told_by_their_dotted_names(storage: BaseStorage) -> None:
    limits = {"temperature_last": RangeConfig(low=0.03, high=1.0)}
    config = config_with(strategy=SnasSettings(name="snas"), proposals=ProposalsConfig(strategy=limits))
    proposer = proposer_on(storage, config=config)
    first, *others = proposed = proposer.propose(0, 4)
    assert first == Hyperparameters.from_config(config) and first.strategy == {"temperature_last": 0.33}
    assert all(0.03 <= other.strategy["temperature_last"] <= 1.0 for other in others)
    proposer.tell(0, outcomes_of(proposed))
    trials = optuna.load_study(study_name="search-a/proposals", storage=storage).trials
    told = [trial.params for trial in trials]
    assert told == [{"strategy.temperature_last": each.strategy["temperature_last"]} for each in proposed]


def test_round_two_is_generation_one_despite_an_enqueued_and_a_failed_trial(storage: BaseStorage) -> None:
    proposer = proposer_on(storage)
    proposer.tell(0, outcomes_of(proposer.propose(0, 6), failed=[3]))
    proposer.propose(1, 6)
    trials = optuna.load_study(study_name="search-a/proposals", storage=storage).trials
    # The enqueued trial carries no generation: it is what the population size has to leave out.
    assert [trial.system_attrs.get(GENERATION) for trial in trials] == [None, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1]
    assert trials[3].state == TrialState.FAIL


def test_every_later_round_is_a_generation(storage: BaseStorage) -> None:
    proposer = proposer_on(storage)
    for turn in range(4):
        proposer.tell(turn, outcomes_of(proposer.propose(turn, 4), failed=[1]))
    trials = optuna.load_study(study_name="search-a/proposals", storage=storage).trials
    assert [trial.system_attrs[GENERATION] for trial in trials[4:]] == [1] * 4 + [2] * 4 + [3] * 4


def test_equal_seeds_propose_the_same_over_rounds() -> None:
    def two_rounds(seed: int) -> list[Hyperparameters]:
        proposer = proposer_on(InMemoryStorage(), config=config_with(seed))
        first = proposer.propose(0, 4)
        proposer.tell(0, outcomes_of(first))
        return [*first, *proposer.propose(1, 4)]

    assert two_rounds(1) == two_rounds(1)
    assert two_rounds(1) != two_rounds(2)


def test_a_new_process_is_given_the_round_that_was_asked_for(storage: BaseStorage) -> None:
    asked = proposer_on(storage).propose(0, 4)
    assert proposer_on(storage).propose(0, 4) == asked


def test_a_round_cut_short_while_asking_is_filled_without_repetition(storage: BaseStorage) -> None:
    begun = proposer_on(storage).propose(0, 3)
    whole = proposer_on(storage).propose(0, 6)
    assert whole[:3] == begun
    assert len({proposal.alpha_lr for proposal in whole}) == 6


def test_telling_twice_changes_nothing(storage: BaseStorage) -> None:
    proposer = proposer_on(storage)
    outcomes = outcomes_of(proposer.propose(0, 3), failed=[2])
    proposer.tell(0, outcomes)
    proposer_on(storage).tell(0, outcomes)
    trials = optuna.load_study(study_name="search-a/proposals", storage=storage).trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETE, TrialState.COMPLETE, TrialState.FAIL]
    assert trials[1].values == [0.51, 3e6 - 1]


def test_outcomes_of_a_lost_study_are_recorded_all_the_same(storage: BaseStorage) -> None:
    outcomes = outcomes_of(proposer_on(InMemoryStorage()).propose(0, 3), failed=[2])
    proposer_on(storage).tell(0, outcomes)
    study = optuna.load_study(study_name="search-a/proposals", storage=storage)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "COMPLETE", "FAIL"]


def test_a_failed_trial_says_why_whether_it_was_asked_for_or_its_study_was_lost(storage: BaseStorage) -> None:
    lost = InMemoryStorage()
    outcomes = outcomes_of(proposer_on(storage).propose(0, 2), failed=[1])
    for held in (storage, storage, lost, lost):
        proposer_on(held).tell(0, outcomes)
    for held in (storage, lost):
        good, failed = optuna.load_study(study_name="search-a/proposals", storage=held).trials
        why = {key: value for key, value in failed.user_attrs.items() if "failure" in key}
        assert why == {"medarts.failure": "loss is NaN", "medarts.failure_cause": "crashed"}
        assert failed.state == TrialState.FAIL and failed.values is None
        assert good.user_attrs.keys() == {"medarts.proposal"}


def test_a_process_that_died_between_a_failures_reason_and_its_verdict_is_made_up_for(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'optuna.db'}"
    outcomes = outcomes_of(proposer_on(open_study_storage(url)).propose(0, 2), failed=[1])
    study = optuna.load_study(study_name="search-a/proposals", storage=open_study_storage(url))
    optuna.trial.Trial(study, study.trials[1]._trial_id).set_user_attr("medarts.failure", "loss is NaN")
    proposer_on(open_study_storage(url)).tell(0, outcomes)
    assert [trial.state.name for trial in study.get_trials()] == ["COMPLETE", "FAIL"]
    assert study.get_trials()[1].user_attrs["medarts.failure_cause"] == "crashed"


def test_too_few_outcomes_are_refused(storage: BaseStorage) -> None:
    proposer = proposer_on(storage)
    outcomes = outcomes_of(proposer.propose(0, 3))
    with pytest.raises(SearchError, match="2 outcomes"):
        proposer.tell(0, outcomes[:2])


def test_a_shared_study_seeds_the_next_search(storage: BaseStorage) -> None:
    first = proposer_on(storage, "search-a", config_with(study="digits"))
    first.tell(0, outcomes_of(first.propose(0, 5)))
    proposer_on(storage, "search-b", config_with(seed=1, study="digits")).propose(0, 5)
    trials = optuna.load_study(study_name="digits", storage=storage).trials
    assert [trial.system_attrs.get(GENERATION) for trial in trials[5:]] == [1] * 5


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"alpha": AlphaConfig(warmup_epochs=0, beta1=0.9)}, "alpha.beta1"),
        ({"ranking_split": "holdout"}, "ranking_split"),
        ({"proposals": ProposalsConfig(space={"alpha_lr": SPACE["alpha_lr"]}, study="shared")}, "proposals.space"),
        ({"objectives": make_search_config_tiny().objectives[:1]}, "objectives.1.name"),
    ],
)
def test_a_shared_study_of_other_settings_is_refused(
    storage: BaseStorage, changes: dict[str, object], named: str
) -> None:
    proposer_on(storage, "search-a", config_with(study="shared"))
    with pytest.raises(ConfigError, match=named):
        proposer_on(storage, "search-b", config_with(**{"study": "shared", **changes}))  # type: ignore[arg-type]


def test_a_shared_study_of_other_images_is_refused(storage: BaseStorage) -> None:
    proposer_on(storage, "search-a", config_with(study="shared"))
    other = make_dataset_summary().model_copy(update={"fingerprint": "ba9876543210"})
    with pytest.raises(ConfigError, match="dataset.fingerprint: got 'ba9876543210', allowed '0123456789ab'"):
        OptunaProposer(storage, "search-b", config_with(study="shared"), other)


def test_a_sampled_default_and_the_population_may_differ_in_a_shared_study(storage: BaseStorage) -> None:
    proposer_on(storage, "search-a", config_with(study="shared"))
    first = make_search_config_tiny().stages[0].model_copy(update={"population": 9, "name": "warm"})
    config = config_with(study="shared", alpha=AlphaConfig(lr=1e-3), stages=(first,))
    assert proposer_on(storage, "search-b", config).propose(0, 1)[0].alpha_lr == 1e-3


def test_a_study_of_someone_else_is_refused(storage: BaseStorage) -> None:
    optuna.create_study(study_name="theirs", storage=storage).optimize(lambda trial: 1.0, n_trials=1)
    with pytest.raises(ConfigError, match="holds trials of something else"):
        proposer_on(storage, "search-a", config_with(study="theirs"))


@pytest.mark.parametrize("directions", [["minimize"], ["maximize", "minimize"], ["maximize"] * 3])
def test_an_empty_study_of_someone_else_is_refused_for_its_directions(
    storage: BaseStorage, directions: list[str]
) -> None:
    study = optuna.create_study(study_name="theirs", storage=storage, directions=directions)
    with pytest.raises(
        ConfigError, match=r"has the directions \['.*\] of something else, not \['maximize', 'maximize'\]"
    ):
        proposer_on(storage, "search-a", config_with(study="theirs"))
    assert (study.user_attrs, study.metric_names) == ({}, None)


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_an_empty_study_is_taken_unless_its_values_have_others_names(storage: BaseStorage) -> None:
    study = optuna.create_study(study_name="made before", storage=storage, directions=["maximize", "maximize"])
    study.set_metric_names(["recall", "cost"])
    with pytest.raises(ConfigError, match=r"has the values \['recall', 'cost'\] of something else"):
        proposer_on(storage, "search-a", config_with(study="made before"))
    study.set_metric_names(["accuracy", "params"])
    proposer_on(storage, "search-a", config_with(study="made before")).propose(0, 2)


def test_an_empty_space_gives_everyone_the_configs_values(storage: BaseStorage) -> None:
    proposer = make_proposer(make_search_config_tiny(), "search-a", storage, make_dataset_summary())
    assert isinstance(proposer, FixedProposer)
    assert isinstance(make_proposer(config_with(), "search-a", storage, make_dataset_summary()), OptunaProposer)


def test_a_sqlite_file_carries_rounds_between_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = proposer_on(open_study_storage(None)).propose(0, 3)
    assert proposer_on(open_study_storage("sqlite:///optuna.db")).propose(0, 3) == asked
    assert (tmp_path / "optuna.db").exists()
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("url", ["optuna.db", "redis://h", "journal.log", "mysql://h/db"])
def test_an_address_that_can_not_hold_studies_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="allowed are sqlite:///"):
        open_study_storage(url)


def test_an_unreachable_study_server_is_reported_in_one_line() -> None:
    pytest.importorskip("psycopg2")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(StoreError, match="can't reach the database") as caught:
        open_study_storage(f"postgresql://user:secret@127.0.0.1:{port}/optuna")
    assert "secret" not in str(caught.value) and "\n" not in str(caught.value)


def test_a_pruned_trial_has_its_intermediate_value_whether_it_was_asked_for_or_its_study_was_lost(
    tmp_path: Path,
) -> None:
    asked, lost = (open_study_storage(f"sqlite:///{tmp_path / name}.db") for name in ("asked", "lost"))
    (good,) = outcomes_of(proposer_on(asked).propose(0, 2)[:1])
    outcomes = [good, make_pruned(1, accuracy=0.4)]
    for held in (asked, asked, lost, lost):
        proposer_on(held).tell(0, outcomes)
    for held in (asked, lost):
        study = optuna.load_study(study_name="search-a/proposals", storage=held)
        _, pruned = study.trials
        assert (pruned.state, pruned.intermediate_values) == (TrialState.PRUNED, {0: 0.4})
        assert pruned.user_attrs["medarts.pruned"] == "on front 1 of its population after 1 epoch"
        assert [trial.number for trial in study.best_trials] == [0]
