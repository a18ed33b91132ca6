"""How many evaluations are trained side by side."""

from __future__ import annotations

from typing import Literal

import pytest
from experiment_plans import make_arm, make_plan, make_short_evaluation, make_short_search

from medarts_ops.experiment import ExperimentPlan
from medarts_ops.experiments.side_by_side import with_workers

OPEN = ("one", "two")


def threads(plan: ExperimentPlan) -> list[int]:
    return [arm.evaluation.runtime.threads for arm in plan.arms if arm.evaluation is not None]


@pytest.mark.parametrize(
    ("workers", "cores", "expected"),
    [
        (1, 8, (1, 8)),
        (2, 8, (2, 4)),
        (16, 8, (16, 1)),
        ("auto", 2, (2, 1)),
        ("auto", 8, (4, 2)),  # four trainings
        ("auto", 1, (1, 1)),
    ],
)
def test_open_threads_share_the_cores(
    workers: int | Literal["auto"], cores: int, expected: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS")
    plan = with_workers(make_plan(), workers, OPEN, cores=cores)
    assert (plan.workers, threads(plan)) == (expected[0], [expected[1]] * 2)


def test_threads_that_somebody_set_stay_and_tell_how_many_fit() -> None:
    plan = with_workers(make_plan(), "auto", (), cores=8)
    assert (plan.workers, threads(plan)) == (4, [1, 1])  # no more than there are trainings
    two = make_short_evaluation()
    two = two.model_copy(update={"runtime": two.runtime.model_copy(update={"threads": 4})})
    plan = with_workers(make_plan([make_arm("one", evaluation=two)]), "auto", (), cores=8)
    assert (plan.workers, threads(plan)) == (2, [4])


def test_on_a_gpu_it_is_one_unless_asked() -> None:
    config = make_short_evaluation()
    cuda = config.model_copy(update={"runtime": config.runtime.model_copy(update={"device": "cuda"})})
    plan = make_plan([make_arm("one", evaluation=cuda)])
    assert with_workers(plan, "auto", ("one",), cores=8).workers == 1
    assert with_workers(plan, 3, ("one",), cores=8).workers == 3


def test_searches_alone_have_workers_of_their_own() -> None:
    arm = make_arm("one", search=make_short_search()).model_copy(update={"evaluation": None})
    plan = make_plan([arm])
    assert with_workers(plan, "auto", ("one",), cores=8) == plan
