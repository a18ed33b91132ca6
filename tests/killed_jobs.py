"""Jobs that are killed at chosen moments and gone on with, and the state that each ends in."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from experiment_plans import make_arm, make_plan, make_short_search
from kills import EVALUATION, in_child, search_config, stores
from moments import Moments, spread
from whole_state import differences, whole_state

from medarts_ops.config import SearchConfig
from medarts_ops.journal.job import is_unfinished, kind_in
from medarts_ops.tracking.evaluation import tracked_evaluation
from medarts_ops.tracking.experiment import tracked_experiment
from medarts_ops.tracking.resume import resumed_evaluation, resumed_experiment, resumed_search
from medarts_ops.tracking.search import tracked_search
from medarts_ops.tracking.sync import sync_job

NAME, EARLIER, SHARED = "mine", "earlier", "shared"
PER_KIND = int(os.environ.get("MEDARTS_KILLS_PER_KIND", "1"))
"""How many moments of each kind a job is killed at; 0 is at every one, which takes hours."""


EXPERIMENT = make_plan([make_arm("given"), make_arm("found", search=make_short_search())], seeds=[0])
"""A genotype that is given, and one that is searched: three trainings."""


class KilledJob(NamedTuple):
    """How a job is begun and gone on with, `pictures` or none, and calls of it that are moments, too.

    `needs` says whether its stores hold an earlier search: one whose genotype it trains, or whose study it shares.
    """

    begin: Callable[[Path, bool], object]
    resume: Callable[[Path, bool], object]
    calls: tuple[str, ...]
    needs: bool = False


def quick_config(seed: int = 0, study: str | None = None) -> SearchConfig:
    """As `search_config`, with two stages and a step an epoch: what is tried is what happens between the steps."""
    config = search_config()
    first, second, _ = (stage.model_copy(update={"batch": 40}) for stage in config.stages)
    proposals = config.proposals.model_copy(update={"study": study})
    stages = (first, second.model_copy(update={"epochs": 1}))
    return config.model_copy(update={"seed": seed, "proposals": proposals, "stages": stages})


def begin_search(folder: Path, pictures: bool) -> None:
    tracked_search(quick_config(), name=NAME, pictures=pictures, **stores(folder))


def begin_sharing_search(folder: Path, pictures: bool) -> None:
    tracked_search(quick_config(1, SHARED), name=NAME, pictures=pictures, **stores(folder))


def begin_evaluation(folder: Path, pictures: bool) -> None:
    tracked_evaluation(EVALUATION, run_id=EARLIER, name=NAME, pictures=pictures, **without_studies(folder))


def resume_search(folder: Path, pictures: bool) -> None:
    """One whose journal has the end already is told to its stores again, as the refusal to resume it says."""
    if is_unfinished(folder / "work" / NAME):
        assert resumed_search(NAME, pictures=pictures, **stores(folder)).waiting == 0
    else:
        place = stores(folder)
        sync_job(place.pop("work_dir"), NAME, pictures=pictures, **place)


def resume_evaluation(folder: Path, pictures: bool) -> None:
    """Twice: the second time nothing is left to train, and nothing is told twice."""
    for _ in range(2):
        assert resumed_evaluation(NAME, pictures=pictures, **without_studies(folder)).waiting == 0


def without_studies(folder: Path) -> dict[str, Any]:
    return {key: value for key, value in stores(folder).items() if key != "storage"}


def begin_experiment(folder: Path, pictures: bool) -> None:
    tracked_experiment(EXPERIMENT, name=NAME, pictures=pictures, **stores(folder))


def resume_experiment(folder: Path, pictures: bool) -> None:
    """Twice, as an evaluation."""
    for _ in range(2):
        assert resumed_experiment(NAME, pictures=pictures, **stores(folder)).waiting == 0


SEARCH_CALLS = ("medarts_ops.training.bilevel:SearchTraining.step", "medarts_ops.stages:rank")
EVALUATION_CALLS = ("medarts_ops.training.supervised:SupervisedTraining.step",)
JOBS = {
    "search": KilledJob(begin_search, resume_search, SEARCH_CALLS),
    "sharing search": KilledJob(begin_sharing_search, resume_search, SEARCH_CALLS, needs=True),
    "evaluation": KilledJob(begin_evaluation, resume_evaluation, EVALUATION_CALLS, needs=True),
    "experiment": KilledJob(begin_experiment, resume_experiment, EVALUATION_CALLS),
}


class Undisturbed(NamedTuple):
    """A job that nobody killed: where it ran, what was there before, all of its moments, and what it left behind."""

    job: str
    place: Path
    before: Path
    moments: list[str]
    state: dict[str, Any]
    pictures: bool

    @classmethod
    def run(cls, job: str, folder: Path, template_database: Path, *, pictures: bool = False) -> Undisturbed:
        """Run it in `folder`, always in the same place, which addresses of artifacts name."""
        place, before = folder / "place", folder / "before"
        place.mkdir()
        shutil.copy(template_database, place / "mlflow.db")
        if JOBS[job].needs:
            assert in_child(search_earlier, place) == (0, None)
        shutil.copytree(place, before)
        code, moments = in_child(begin, job, place, None, pictures)
        assert code == 0
        code, state = in_child(state_of, place)
        assert code == 0
        return cls(job, place, before, moments, state, pictures)

    def chosen(self, words: str = "") -> list[int]:
        """The moments to die at: of each kind whose name has one of these words, `PER_KIND`."""
        numbers = spread(self.moments, PER_KIND) if PER_KIND else range(len(self.moments))
        return [number for number in numbers if any(word in self.moments[number] for word in words.split("|"))]

    def different(self, moments: Sequence[int]) -> dict[str, list[str]]:
        """Of those moments after which the end is another one: what is different."""
        found = {f"{moment}: {self.moments[moment]}": self.differences_after(moment) for moment in moments}
        return {moment: lines for moment, lines in found.items() if lines}

    def differences_after(self, moment: int) -> list[str]:
        """What is different in the end if the job is killed at a moment and gone on with."""
        shutil.rmtree(self.place)
        shutil.copytree(self.before, self.place)
        code, _ = in_child(begin, self.job, self.place, moment, self.pictures)
        if code != -signal.SIGKILL:
            return [f"it lived on and ended with {code}"]
        code, state = in_child(go_on, self.job, self.place, self.pictures)
        return differences(self.state, state) if code == 0 else [f"to go on ended with {code}"]


def search_earlier(folder: Path) -> None:
    quick(Moments(folder))
    tracked_search(quick_config(2, SHARED), name=EARLIER, pictures=False, **stores(folder))


def begin(job: str, folder: Path, last: int | None, pictures: bool) -> list[str]:
    """Begin a job, and die at the moment `last`; or give the names of all moments."""
    moments = quick(Moments(folder, last, JOBS[job].calls))
    JOBS[job].begin(folder, pictures)
    return moments.names


def go_on(job: str, folder: Path, pictures: bool) -> dict[str, Any]:
    """Go on with a job; one that had not begun leaves a folder at most, which is removed, and is begun anew."""
    quick(Moments(folder))
    own = folder / "work" / NAME
    if own.exists() and kind_in(own) is not None:
        JOBS[job].resume(folder, pictures)
    else:
        shutil.rmtree(own, ignore_errors=True)
        JOBS[job].begin(folder, pictures)
    return state_of(folder)


def state_of(folder: Path) -> dict[str, Any]:
    return whole_state(folder, stores(folder)["tracking_uri"], stores(folder)["storage"])


def quick(moments: Moments) -> Moments:
    import torch

    torch.set_num_threads(1)
    return moments
