"""Proposals for the initial individuals by Optuna's NSGA-II, asked for and told by the driving process alone."""

from __future__ import annotations

from collections.abc import Sequence

from optuna import Study
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.samplers import BaseGASampler, NSGAIISampler
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from medarts_ops.config import ResolvedSearchConfig
from medarts_ops.errors import SearchError
from medarts_ops.individual import EvaluatedIndividual, FailedIndividual, Hyperparameters, Measured
from medarts_ops.observers import DatasetSummary
from medarts_ops.proposers import FixedProposer, Proposer
from medarts_ops.seeds import Stream, integer_seed
from medarts_ops.tracking.artifacts.shapes import failure_tags
from medarts_ops.tracking.stores.study_storage import name_objectives, open_study, study_errors
from medarts_ops.tracking.studies.contract import hold_to_contract, study_contract
from medarts_ops.tracking.vocabulary import PROPOSAL

SMALLEST_POPULATION = 2
"""NSGA-II needs two parents, and so does Optuna's sampler."""


def make_proposer(
    config: ResolvedSearchConfig, search_id: str, storage: BaseStorage, dataset: DatasetSummary
) -> Proposer:
    """Optuna's proposer, or, where `proposals.space` is empty, the config's own values for every individual."""
    if not config.proposals.space:
        return FixedProposer(Hyperparameters.from_config(config))
    return OptunaProposer(storage, search_id, config, dataset)


class OptunaProposer:
    """Proposes hyperparameters in rounds and learns from what came of them (algorithm.md section 7).

    A round that was asked for is in the study: asking again, from a resumed search too, gives the same answer.
    A hyperparameter outside `proposals.space` takes the config's own value.

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
        self._unproposed = Hyperparameters.from_config(config)
        self._space: dict[str, BaseDistribution] = {
            name: FloatDistribution(limits.low, limits.high, log=True)
            for name, limits in config.proposals.space.items()
        }
        with study_errors():
            study = self._study()
            hold_to_contract(study, study_contract(config, dataset))
            name_objectives(study, config.objectives)

    @property
    def study_name(self) -> str:
        """The study's name: the search's own, unless the config names a shared one."""
        return self._config.proposals.study or f"{self._search_id}/proposals"

    def propose(self, round: int, n: int) -> tuple[Hyperparameters, ...]:
        """The hyperparameters of the `n` individuals of this round, in the individuals' order."""
        with study_errors():
            asked = self._trials(self._study(), round)
            if len(asked) < n:
                self._ask(round, len(asked), n)
                asked = self._trials(self._study(), round)
        proposed = [{name: float(trial.params[name]) for name in self._space} for trial in asked[:n]]
        return tuple(self._unproposed.model_copy(update=values) for values in proposed)

    def tell(self, round: int, outcomes: Sequence[Measured]) -> None:
        """What came of a round, in the order that `propose` gave; telling twice changes nothing.

        A failed trial says why in its user attributes.

        If the study lost its proposals (its database was deleted, and the journal knew them), the outcomes are
        recorded all the same, though Optuna breeds from none that it did not propose.

        Raises:
            SearchError: another number of outcomes than of proposals.
        """
        with study_errors():
            study = self._study()
            asked = self._trials(study, round)
            if not asked:
                for place, outcome in enumerate(outcomes):
                    study.add_trial(self._told_trial(round, place, outcome))
                return
            if len(asked) != len(outcomes):
                raise SearchError(
                    f"round {round} has {len(outcomes)} outcomes: allowed are its {len(asked)} proposals'"
                )
            study_id = self._storage.get_study_id_from_name(self.study_name)
            for trial, outcome in zip(asked, outcomes, strict=True):
                if trial.state == TrialState.RUNNING:
                    state, values, attributes = self._verdict(outcome)
                    trial_id = self._storage.get_trial_id_from_study_id_trial_number(study_id, trial.number)
                    for key, value in attributes.items():  # a finished trial takes no more
                        self._storage.set_trial_user_attr(trial_id, key, value)
                    study.tell(trial.number, values, state=state)

    def _ask(self, round: int, first: int, n: int) -> None:
        study = self._study()
        ranges = self._config.proposals.space.items()
        fits = all(limits.low <= getattr(self._unproposed, name) <= limits.high for name, limits in ranges)
        if round == 0 and first == 0 and fits:
            study.enqueue_trial({name: getattr(self._unproposed, name) for name in self._space}, skip_if_exists=True)
        # A sampler's random numbers restart at its seed, so a round that was cut short while it was asked for goes
        # on with another seed than it began with; otherwise its proposals would repeat.
        seed = integer_seed(self._config.seed, round, first, Stream.PROPOSALS) & 0xFFFFFFFF
        study.sampler = NSGAIISampler(population_size=self._population_size(study, n), seed=seed)
        for place in range(first, n):
            study.ask(self._space).set_user_attr(PROPOSAL, f"{self._round_key(round)}{place}")

    def _population_size(self, study: Study, n: int) -> int:
        """How many complete trials the last generation has, `n` if there is none.

        The sampler opens a generation once the last one holds `population_size` complete trials, and counts only
        trials that it sampled itself: neither an enqueued trial nor a failed one. With the round's own size, one of
        those would keep the next round in the same generation, and so at random.
        """
        reader: BaseGASampler = NSGAIISampler(population_size=SMALLEST_POPULATION)
        generation, size = 0, 0
        while last := reader.get_population(study, generation):
            generation, size = generation + 1, len(last)
        return max(size or n, SMALLEST_POPULATION)

    def _study(self) -> Study:
        return open_study(self._storage, self.study_name, self._config.objectives)

    def _round_key(self, round: int) -> str:
        return f"{self._search_id}/{round}/"

    def _trials(self, study: Study, round: int) -> list[FrozenTrial]:
        key = self._round_key(round)
        trials = [trial for trial in study.get_trials() if str(trial.user_attrs.get(PROPOSAL, "")).startswith(key)]
        return sorted(trials, key=lambda trial: int(trial.user_attrs[PROPOSAL].removeprefix(key)))

    def _verdict(self, outcome: Measured) -> tuple[TrialState, list[float] | None, dict[str, str]]:
        """The state, the values and the user attributes of an outcome's trial."""
        match outcome:
            case EvaluatedIndividual(objectives=objectives):
                values = [objectives[objective.name] for objective in self._config.objectives]
                return TrialState.COMPLETE, values, {}
            case FailedIndividual():
                return TrialState.FAIL, None, failure_tags(outcome)

    def _told_trial(self, round: int, place: int, outcome: Measured) -> FrozenTrial:
        individual = outcome.trained.individual if isinstance(outcome, EvaluatedIndividual) else outcome.individual
        state, values, attributes = self._verdict(outcome)
        return create_trial(
            state=state,
            values=values,
            params={name: getattr(individual.hyperparameters, name) for name in self._space},
            distributions=self._space,
            user_attrs={PROPOSAL: f"{self._round_key(round)}{place}"} | attributes,
        )
