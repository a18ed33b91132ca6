"""Proposals for the initial individuals by Optuna's NSGA-II, drawn and told by the driving process alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from optuna import Study
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from medarts_ops.config import ResolvedSearchConfig
from medarts_ops.errors import SearchError
from medarts_ops.individual import (
    Ended,
    EvaluatedIndividual,
    FailedIndividual,
    Hyperparameters,
    PrunedIndividual,
    individual_of,
)
from medarts_ops.observers import DatasetSummary
from medarts_ops.proposers import FixedProposer, Proposer
from medarts_ops.seeds import Stream, integer_seed
from medarts_ops.tracking.artifacts.shapes import failure_tags, intermediate_values, pruned_tags
from medarts_ops.tracking.stores.study_storage import name_objectives, open_study, study_errors
from medarts_ops.tracking.studies.contract import hold_to_contract, study_contract
from medarts_ops.tracking.studies.drawn_round import DrawnTrial, draw_round, drawn_from_json, drawn_to_json
from medarts_ops.tracking.vocabulary import DRAWN_ROUND, PROPOSAL


def make_proposer(
    config: ResolvedSearchConfig, search_id: str, storage: BaseStorage, dataset: DatasetSummary
) -> Proposer:
    """Optuna's proposer, or, where proposals range over nothing, the config's own values for every individual."""
    if not config.proposals.ranges:
        return FixedProposer(Hyperparameters.from_config(config))
    return OptunaProposer(storage, search_id, config, dataset)


class OptunaProposer:
    """Proposes hyperparameters in rounds and learns from what came of them.

    A round is drawn whole and written into the study at once, and then becomes trials. So a search that was killed
    anywhere in between goes on with the same proposals, whatever other searches did to a shared study meanwhile.
    A hyperparameter that proposals do not range over takes the config's own value.

    The config's own hyperparameters (DARTS's, unless they were changed) are the first proposal of round 0, unless
    the study has them already or they lie outside the ranges; clipping would try a value that nobody chose.

    Raises:
        ConfigError: the study is shared and was filled under other settings.
        StoreError: the storage failed.
    """

    def __init__(
        self, storage: BaseStorage, search_id: str, config: ResolvedSearchConfig, dataset: DatasetSummary
    ) -> None:
        self._storage = storage
        self._search_id = search_id
        self._config = config
        self._contract = study_contract(config, dataset)
        self._unproposed = Hyperparameters.from_config(config)
        self._space: dict[str, BaseDistribution] = {
            name: FloatDistribution(limits.low, limits.high, log=True)
            for name, limits in config.proposals.ranges.items()
        }
        self._agreed = False
        if config.proposals.study is not None:  # others filled it, maybe: a refusal comes before the search begins
            with study_errors():
                self._study()

    @property
    def study_name(self) -> str:
        """The study's name: the search's own, unless the config names a shared one."""
        return self._config.proposals.study or f"{self._search_id}/proposals"

    def propose(self, round: int, n: int) -> tuple[Hyperparameters, ...]:
        """The hyperparameters of the `n` individuals of this round, in the individuals' order."""
        with study_errors():
            study = self._study()
            asked = self._trials(study, round)
            missing = [place for place in range(n) if place not in asked]
            if missing:
                self._end_unnamed_trials(study)
                drawn = self._drawn(study, round, n)
                for place in missing:
                    study.add_trial(drawn[place].as_running(self._space, {PROPOSAL: self._key(round, place)}))
                asked = self._trials(study, round)
        proposed = [{name: float(asked[place].params[name]) for name in self._space} for place in range(n)]
        return tuple(map(self._unproposed.with_values, proposed))

    def tell(self, round: int, outcomes: Sequence[Ended]) -> None:
        """What came of a round, in the order that `propose` gave; telling twice changes nothing.

        A failed or pruned trial says why in its user attributes, a pruned one has its intermediate value.

        If the study lost its proposals (its database was deleted, and the journal knew them), the outcomes are
        recorded all the same, though Optuna breeds from none that it did not propose.

        Raises:
            SearchError: fewer outcomes than proposals.
        """
        with study_errors():
            study = self._study()
            asked = self._trials(study, round)
            if len(asked) > len(outcomes):
                raise SearchError(
                    f"round {round} has {len(outcomes)} outcomes: allowed are its {len(asked)} proposals'"
                )
            for place, outcome in enumerate(outcomes):
                trial = asked.get(place)
                if trial is None:
                    study.add_trial(self._told_trial(round, place, outcome))
                elif trial.state == TrialState.RUNNING:
                    verdict, trial_id = self._verdict(outcome), self._trial_id(trial)
                    for key, text in verdict.attributes.items():  # a finished trial takes no more
                        self._storage.set_trial_user_attr(trial_id, key, text)
                    for step, value in verdict.intermediate.items():  # `Trial.report` is for one objective alone
                        self._storage.set_trial_intermediate_value(trial_id, step, value)
                    study.tell(trial.number, verdict.values, state=verdict.state)

    def _drawn(self, study: Study, round: int, n: int) -> Sequence[DrawnTrial]:
        """The round as it was drawn when it was first asked for; drawn now, and written down, if it never was."""
        key = f"{DRAWN_ROUND}/{self._search_id}/{round}"
        drawn = drawn_from_json(study.user_attrs.get(key, "[]"))
        if len(drawn) < n:
            held = self._unproposed.values
            own = {name: value for name in self._space if (value := held[name]) is not None}
            ranges = self._config.proposals.ranges.items()
            fits = all(name in own and limits.low <= own[name] <= limits.high for name, limits in ranges)
            of_this_round = {trial.number for trial in self._trials(study, round).values()}
            others = [trial for trial in study.get_trials() if trial.number not in of_this_round]
            seed = integer_seed(self._config.seed, round, 0, Stream.PROPOSALS) & 0xFFFFFFFF
            first = own if round == 0 and fits else None
            drawn = draw_round(others, study.directions, self._space, n, seed=seed, first=first)
            study.set_user_attr(key, drawn_to_json(drawn))
        return drawn

    def _end_unnamed_trials(self, study: Study) -> None:
        """Fail what an earlier release left behind, which asked first and then said what for.

        In a shared study such a trial may be another search's, and about to be named.
        """
        if self._config.proposals.study is None:
            for trial in study.get_trials(states=(TrialState.RUNNING, TrialState.WAITING)):
                if PROPOSAL not in trial.user_attrs:
                    self._storage.set_trial_state_values(self._trial_id(trial), TrialState.FAIL)

    def _study(self) -> Study:
        study = open_study(self._storage, self.study_name, self._config.objectives)
        if not self._agreed:
            hold_to_contract(study, self._contract)
            name_objectives(study, self._config.objectives)
            self._agreed = True
        return study

    def _key(self, round: int, place: object = "") -> str:
        return f"{self._search_id}/{round}/{place}"

    def _trials(self, study: Study, round: int) -> dict[int, FrozenTrial]:
        """The trials of a round by their places in it."""
        key = self._key(round)
        named = ((str(trial.user_attrs.get(PROPOSAL, "")), trial) for trial in study.get_trials())
        return {int(name.removeprefix(key)): trial for name, trial in named if name.startswith(key)}

    def _trial_id(self, trial: FrozenTrial) -> int:
        study_id = self._storage.get_study_id_from_name(self.study_name)
        return self._storage.get_trial_id_from_study_id_trial_number(study_id, trial.number)

    def _verdict(self, outcome: Ended) -> _Verdict:
        match outcome:
            case EvaluatedIndividual(objectives=objectives):
                values = [objectives[objective.name] for objective in self._config.objectives]
                return _Verdict(TrialState.COMPLETE, values)
            case FailedIndividual():
                return _Verdict(TrialState.FAIL, attributes=failure_tags(outcome))
            case PrunedIndividual():
                return _Verdict(TrialState.PRUNED, None, pruned_tags(outcome), intermediate_values(outcome))

    def _told_trial(self, round: int, place: int, outcome: Ended) -> FrozenTrial:
        individual = individual_of(outcome)
        verdict = self._verdict(outcome)
        return create_trial(
            state=verdict.state,
            values=verdict.values,
            params={name: individual.hyperparameters.values[name] for name in self._space},
            distributions=self._space,
            user_attrs={PROPOSAL: self._key(round, place), **verdict.attributes},
            intermediate_values=dict(verdict.intermediate),
        )


class _Verdict(NamedTuple):
    """How an outcome's trial ends: state, values, user attributes, and values on its way by epoch."""

    state: TrialState
    values: list[float] | None = None
    attributes: Mapping[str, str] = MappingProxyType({})
    intermediate: Mapping[int, float] = MappingProxyType({})
