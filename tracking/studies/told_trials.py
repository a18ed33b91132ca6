"""What a study storage holds of a search's trials, so that what was written can be said."""

from __future__ import annotations

from optuna import load_study
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from medarts_ops.config import ResolvedSearchConfig
from medarts_ops.tracking.stores.study_storage import studies_of_search, study_errors
from medarts_ops.tracking.studies.stage_record import RUN

Trials = dict[tuple[str, int], tuple[TrialState, object]]
"""The state of each trial, and the run that it names, by its study's name and its number."""


def trials_of(storage: BaseStorage, search_id: str, config: ResolvedSearchConfig) -> Trials:
    """The trials of the studies that a search has to itself, and of one that it shares.

    Raises:
        StoreError: the storage failed.
    """
    names = studies_of_search(storage, search_id)
    with study_errors():
        shared = [each.study_name for each in storage.get_all_studies() if each.study_name == config.proposals.study]
        return {
            (name, trial.number): (trial.state, trial.user_attrs.get(RUN))
            for name in (*names, *shared)
            for trial in load_study(study_name=name, storage=storage).get_trials(deepcopy=False)
        }


def written_trials(before: Trials, after: Trials) -> int:
    """How many trials are new, or stand otherwise."""
    return sum(before.get(trial) != told for trial, told in after.items())
