"""The experiments of a store: the one that holds our runs is found or made, and one that was deleted is told of."""

from __future__ import annotations

import difflib
import hashlib
import re
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Experiment, ViewType
from mlflow.exceptions import MlflowException

from medarts_ops.errors import LONGEST_NAME, StoreError
from medarts_ops.journal.folder import NAME_PATTERN
from medarts_ops.tracking.stores.entities import ABSENT, EXISTS
from medarts_ops.tracking.vocabulary import EXPERIMENT_PURPOSE_TAG, KIND_TAG, NOTE_TAG, ORIGIN_TAG

NOTE = f"""\
Searches for architectures by medarts-ops (ME-DARTS), and trainings of what they found.

- A **search** holds its stages (`stage-init`, …), and a stage its individuals (`init-00`, …): open them by `+`.
  **Evaluations**, which train a found genotype at full size, stand below their search, the trainings of an
  **experiment** below that.
- If you see traces rather than runs, press *Model training* in the sidebar; MLflow remembers it.
- The table has no metrics by itself: tick `accuracy`, `params` and `{ORIGIN_TAG}` under *Columns*.
- `accuracy` is that of images held back from training, in 0…1, and ranks the individuals of one stage; `test_error` is
  what an evaluation comes to.
- A run's *Artifacts* have pictures in the folder `pictures`; `report.html` of a search is all of it on one page.
- All individuals side by side: put ``tags.`{KIND_TAG}` = 'individual'`` into the search box and take the chart view,
  or open the link that `medarts ui` prints.
"""
BEGINS_WITH = {EXPERIMENT_PURPOSE_TAG: "custom_model_development", NOTE_TAG: NOTE}
"""The tags of a new experiment. The first tells Databricks's pages what it is for, and MLflow's own before 3.10. Those
of 3.17 go by their address, or by the switch in their sidebar, which is on GenAI until somebody presses it."""


def find_experiment(client: MlflowClient, given: str) -> Experiment | None:
    """The experiment of an id, or else of a name; None where a name is not there yet.

    Raises:
        StoreError: no such id, or the experiment was deleted.
    """
    is_id = re.fullmatch(r"[0-9]{1,18}", given) is not None
    found = (_of_id(client, given) if is_id else None) or client.get_experiment_by_name(given)
    if found is None and is_id:
        raise StoreError(f"no experiment has the id {given}: {_allowed(client, given)}")
    if found is not None:
        _check_is_active(found)
    return found


def _of_id(client: MlflowClient, given: str) -> Experiment | None:
    try:
        return client.get_experiment(given)
    except MlflowException as error:
        if error.error_code != ABSENT:
            raise
        return None


def experiment_names(client: MlflowClient, given: str | None) -> dict[str, str]:
    """The name of the experiment that was given, or of each (None), by its id.

    Raises:
        StoreError: as for `find_experiment`, and for a name that is not there.
    """
    found = client.search_experiments() if given is None else [find_experiment(client, given)]
    names = {str(each.experiment_id): each.name for each in found if each is not None}
    if given is not None and not names:
        raise StoreError(f"there is no experiment {given[:LONGEST_NAME]!r}: {_allowed(client, given)}")
    return names


def experiment_id(client: MlflowClient, given: str, artifact_root: Path | None) -> str:
    """The experiment's id; it is created if need be, also when another process does so at the same time.

    Its artifacts go to a folder of its own in `artifact_root`, wherever the command was called; a server (None)
    decides itself. A new one is described; one that somebody made is left as it is.

    Raises:
        StoreError: as for `find_experiment`.
    """
    found = find_experiment(client, given)
    if found is None:
        location = None if artifact_root is None else (artifact_root / _folder_name(given)).as_uri()
        try:
            return str(client.create_experiment(given, artifact_location=location, tags=BEGINS_WITH))
        except MlflowException as error:
            found = find_experiment(client, given) if error.error_code == EXISTS else None
            if found is None:
                raise
    return str(found.experiment_id)


def check_is_there(client: MlflowClient, experiment_id: str) -> None:
    """Refuse, by a StoreError that says how it comes back, an experiment that was deleted."""
    _check_is_active(client.get_experiment(experiment_id))


def check_none_is_deleted(client: MlflowClient, condition: str) -> None:
    """As `check_is_there`, for each experiment that has runs which a condition is true of."""
    for found in client.search_experiments(view_type=ViewType.DELETED_ONLY):
        if client.search_runs([found.experiment_id], condition, ViewType.ALL, max_results=1):
            _check_is_active(found)


def _check_is_active(experiment: Experiment) -> None:
    if experiment.lifecycle_stage != "active":
        raise StoreError(
            f"experiment {experiment.name!r} was deleted: restore it with "
            f"`mlflow experiments restore --experiment-id {experiment.experiment_id}`"
        )


def _allowed(client: MlflowClient, given: str) -> str:
    names = [found.name for found in client.search_experiments()]
    near = difflib.get_close_matches(given, names, n=1)
    return f"allowed are {', '.join(names)}" + (f"; did you mean {near[0]!r}?" if near else "")


def _folder_name(experiment: str) -> str:
    """The experiment's own name where that is a folder's, too: others lead elsewhere, or are too long."""
    is_plain = NAME_PATTERN.fullmatch(experiment) is not None
    return experiment if is_plain else f"experiment-{hashlib.sha256(experiment.encode()).hexdigest()[:16]}"
