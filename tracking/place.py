"""Where a job's runs belong: below the search that it evaluates, or below the experiment that it is a training of."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import ValidationError

from medarts_ops.errors import SearchError
from medarts_ops.journal.evaluation_folder import write_whole
from medarts_ops.tracking import vocabulary
from medarts_ops.value import Value

if TYPE_CHECKING:
    from medarts_ops.tracking.runs.run_writer import RunWriter

_logger = logging.getLogger(__name__)

PLACE = "tracking.json"
"""File in a job's folder: below which runs its own belongs, for the process that resumes it."""


class Place(Value):
    """Where a job's run belongs: the individual that it evaluates, and the search or experiment that it is shown below.

    All are None for a job that stands alone, such as the evaluation of a genotype that was given by hand. `search`,
    `individual` and `experiment` are names, which stay when a store is filled anew; None in evaluations that began
    before these were kept. A training of an `experiment` lies below that one, whatever it evaluates; `arm` and `seed`
    are its place in it.
    """

    format: Literal["medarts-evaluation-place"] = "medarts-evaluation-place"
    version: Literal[1] = 1
    evaluates: str | None = None
    parent_run_id: str | None = None
    search: str | None = None
    individual: str | None = None
    experiment: str | None = None
    arm: str | None = None

    @property
    def search_run_id(self) -> str | None:
        """The search that the run lies below."""
        return self.parent_run_id if self.experiment is None else None

    @property
    def tags(self) -> dict[str, str]:
        """What the run says of its place, beside the run that it lies below."""
        told = {vocabulary.EVALUATES_TAG: self.evaluates, vocabulary.ARM_TAG: self.arm}
        return {tag: value for tag, value in told.items() if value is not None}


def write_place(folder: Path, place: Place) -> None:
    """Keep a job's place in its folder; a SearchError if the disk is full or the folder can't be written."""
    write_whole(folder / PLACE, place.model_dump_json(exclude_none=True).encode())


def read_place(folder: Path) -> Place:
    """The place that an evaluation's folder keeps.

    Raises:
        SearchError: there is none that can be read.
    """
    try:
        return Place.model_validate_json((folder / PLACE).read_bytes())
    except (OSError, ValidationError) as error:
        raise SearchError(
            f"{str(folder / PLACE)!r} can't be read ({str(error).splitlines()[0]}): restore it, or evaluate again"
        ) from error


def place_of_search(folder: Path) -> Place:
    """The place of a search, which stands alone unless its folder says otherwise; raises as `read_place`."""
    return read_place(folder) if (folder / PLACE).exists() else Place()


def place_in(store: RunWriter, place: Place) -> Place:
    """The same place by the runs that the store has of it now."""
    found = place
    if place.search is not None:
        runs = _by_key(store, vocabulary.SEARCH_TAG, place.search)
        if "search" not in runs and place.experiment is None:
            _logger.warning("search %s has no run here: `medarts sync` it first, then this again", place.search)
        evaluated = runs.get(vocabulary.individual_key(place.individual or ""), place.evaluates)
        found = found.model_copy(update={"evaluates": evaluated})
        if place.experiment is None:
            found = found.model_copy(update={"parent_run_id": runs.get("search", place.parent_run_id)})
    if place.experiment is not None:
        runs = _by_key(store, vocabulary.EXPERIMENT_TAG, place.experiment)
        if "experiment" not in runs:
            _logger.warning("experiment %s has no run here: `medarts sync` it, then all is there", place.experiment)
        found = found.model_copy(update={"parent_run_id": runs.get("experiment", place.parent_run_id)})
    return found


def _by_key(store: RunWriter, tag: str, name: str) -> dict[str | None, str]:
    return {run.tags.get(vocabulary.KEY_TAG): run.run_id for run in store.runs_with(None, tag, name)}
