"""A round of proposals drawn by Optuna's NSGA-II from what a study holds, before anything of it is in the study."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from optuna import Study, create_study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseGASampler, NSGAIISampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from medarts_ops.tracking.vocabulary import PROPOSAL

SMALLEST_POPULATION = 2
"""NSGA-II needs two parents, and so does Optuna's sampler."""


class DrawnTrial(NamedTuple):
    """One proposal: its parameters, and what the sampler notes of it (its generation, say)."""

    params: Mapping[str, float]
    notes: Mapping[str, Any]

    def as_running(self, space: Mapping[str, BaseDistribution], attributes: Mapping[str, str]) -> FrozenTrial:
        """The trial that is added to a study, with everything that it says, in one write."""
        return create_trial(
            state=TrialState.RUNNING,
            params=dict(self.params),
            distributions=dict(space),
            user_attrs=dict(attributes),
            system_attrs=dict(self.notes),
        )


def draw_round(
    history: Sequence[FrozenTrial],
    directions: Sequence[StudyDirection],
    space: Mapping[str, BaseDistribution],
    n: int,
    *,
    seed: int,
    first: Mapping[str, float] | None = None,
) -> tuple[DrawnTrial, ...]:
    """Draw `n` proposals from a study's trials of other rounds; a function of its arguments alone.

    `first` is the first proposal, unless the history has it already. Optuna's sampler writes into the study that it
    samples for, so it is given a copy in memory. Trials that nobody proposed and that are not complete are no history.
    """
    copy = create_study(directions=directions)
    copy.add_trials(each for each in history if each.state == TrialState.COMPLETE or PROPOSAL in each.user_attrs)
    if first is not None:
        copy.enqueue_trial(dict(first), skip_if_exists=True)
    copy.sampler = NSGAIISampler(population_size=_population_size(copy, n), seed=seed)
    numbers = {copy.ask(dict(space)).number for _ in range(n)}
    drawn = sorted((trial for trial in copy.get_trials() if trial.number in numbers), key=lambda trial: trial.number)
    return tuple(DrawnTrial(trial.params, trial.system_attrs) for trial in drawn)


def _population_size(study: Study, n: int) -> int:
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


def drawn_to_json(drawn: Sequence[DrawnTrial]) -> str:
    """A round as a study keeps it; floats come back bit for bit."""
    return json.dumps([{"params": dict(each.params), "notes": dict(each.notes)} for each in drawn])


def drawn_from_json(text: str) -> tuple[DrawnTrial, ...]:
    """What `drawn_to_json` made."""
    return tuple(DrawnTrial(each["params"], each["notes"]) for each in json.loads(text))
