"""How many evaluations of an experiment are trained side by side, and with how many threads each."""

from __future__ import annotations

from collections.abc import Collection
from math import ceil
from typing import Literal

from medarts_ops.experiment import Arm, ExperimentPlan
from medarts_ops.training.at_a_time import available_cores, share_of_cores, speed_of_each


def with_workers(
    plan: ExperimentPlan,
    workers: int | Literal["auto"],
    open_threads: Collection[str] = (),
    *,
    cores: int | None = None,
) -> ExperimentPlan:
    """The plan with that many evaluations at a time; `auto` is what ends first on a CPU, and one on each card.

    Args:
        open_threads: names of arms whose threads nobody set: these share the cores. Bits depend on the threads.
        cores: those of this process unless given.
    """
    if all(arm.evaluation is None for arm in plan.arms):
        return plan
    cores = available_cores() if cores is None else cores
    at_a_time = _quickest(plan, open_threads, cores) if workers == "auto" else workers
    threads = share_of_cores(cores, at_a_time)
    arms = tuple(_with_threads(arm, threads) if arm.name in open_threads else arm for arm in plan.arms)
    return plan.model_copy(update={"workers": at_a_time, "arms": arms})


def _quickest(plan: ExperimentPlan, open_threads: Collection[str], cores: int) -> int:
    runtimes = {arm.name: arm.evaluation.runtime for arm in plan.arms if arm.evaluation is not None}
    n = len(runtimes) * len(plan.seeds)
    if any(runtime.device != "cpu" for runtime in runtimes.values()):
        return min(n, *(len(runtime.device_names) for runtime in runtimes.values()))
    fixed = [runtime.threads for name, runtime in runtimes.items() if name not in open_threads]
    if fixed:
        return max(1, min(n, cores // max(fixed)))
    return min(range(1, min(n, cores) + 1), key=lambda workers: ceil(n / workers) / speed_of_each(cores, workers))


def _with_threads(arm: Arm, threads: int) -> Arm:
    if arm.evaluation is None:
        return arm
    runtime = arm.evaluation.runtime.model_copy(update={"threads": threads})
    return arm.model_copy(update={"evaluation": arm.evaluation.model_copy(update={"runtime": runtime})})
