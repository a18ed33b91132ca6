"""Parts that are jobs: the tests, a whole search, an evaluation's first epochs, and equal searches, bit by bit."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as xml
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import mean
from typing import Any, Literal

import numpy as np
import torch
from gpu_parts.case import MIB, NEEDS_CARD, Asked, Case, Row, on_card
from numpy.typing import NDArray
from pieces import evaluation_in, result_in

from medarts_ops.bench.estimate import drawn_images, estimate_evaluation, estimate_search, evaluation_hours
from medarts_ops.config import SearchConfig, StageConfig
from medarts_ops.config_runtime import ResolvedEvaluationRuntime, ResolvedSearchRuntime, SearchRuntimeConfig
from medarts_ops.journal.job import kind_in, read_journal
from medarts_ops.journal.kinds import EVALUATION, SEARCH
from medarts_ops.observers import EpochFinished, SearchEvent
from medarts_ops.resolving import resolve_evaluation, resolve_search_config
from medarts_ops.space.zoo import zoo_genotype
from medarts_ops.training.trial_steps import RACED_GENOTYPE

ROOT = Path(__file__).resolve().parents[3]
EPOCHS = 3
"""Of the evaluation: the first one captures the step, and drops no paths."""

CIFAR10 = 50_000, 10_000
"""Images to train and to test."""

Bits = Mapping[str, NDArray[np.float64]]
"""By individual: the losses of its epochs and all of its α."""


def tests(asked: Asked) -> dict[str, Case]:
    return {"tests/gpu": partial(carried_out_tests, asked)}


def carried_out_tests(asked: Asked) -> Row:
    if find_spec("pytest") is None:
        return {"skipped": "no pytest"}
    asked.folder.mkdir(parents=True, exist_ok=True)
    report = asked.folder / "report.xml"
    # The project's filters name libraries that need not be here.
    options = ["-q", "-o", "filterwarnings=default", "-p", "no:cacheprovider", f"--junitxml={report}"]
    subprocess.run([sys.executable, "-m", "pytest", "tests/gpu", *options], cwd=ROOT, check=False)
    each = list(xml.parse(report).iter("testcase"))
    bad = [case for case in each if case.find("failure") is not None or case.find("error") is not None]
    row = {
        "tests": len(each),
        "passed": sum(len(case) == 0 for case in each),
        "not run": sum(case.find("skipped") is not None for case in each),
        "seconds": sum(float(case.get("time", 0)) for case in each),
    }
    return row | ({"failed": ", ".join(str(case.get("name")) for case in bad)} if bad or not each else {})


@contextmanager
def interrupted_in_time(end: float) -> Iterator[None]:
    """Ctrl-C at `end`: a job goes on after its last whole epoch."""
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, max(0.1, end - time.monotonic()))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def search(asked: Asked) -> dict[str, Case]:
    return {"estimated": partial(estimated_search, asked), "measured": partial(whole_search, asked)}


def table_ii(asked: Asked) -> SearchConfig:
    """Preset cifar10-paper, which are the model's defaults, on the images; on one card."""
    runtime = SearchRuntimeConfig(executor="local")
    config = SearchConfig(
        preset="cifar10-paper", dataset=asked.dataset(halved=True), space=asked.space(), runtime=runtime
    )
    if not asked.tiny:
        return config
    sizes = {"cells": 3, "channels": 2, "batch": 8, "images": 40, "epochs": 1}
    fewer = ({"population": 2}, {"survivors": 2, "children": 0}, {"survivors": 1})
    stages = [stage.model_copy(update=sizes | few) for stage, few in zip(config.stages, fewer, strict=True)]
    return config.model_copy(update={"stages": tuple(stages)})


def estimated_search(asked: Asked) -> Row:
    config, data = resolve_search_config(table_ii(asked))
    estimate = estimate_search(config, drawn_images(data), data.stages[0].shape, asked.repeats)
    hours = {f"{stage.name}, hours": stage.hours for stage in estimate.stages}
    return {"GPU hours": estimate.hours, **hours, **chosen(config.runtime)}


def chosen(runtime: ResolvedSearchRuntime) -> Row:
    """What `auto` took on this machine."""
    return {"stack": runtime.stack, "amp": runtime.amp, "matrix side": runtime.matrix_side}


def whole_search(asked: Asked) -> Row:
    """Hours are of training, as search costs are told; `at work` is all that processes took, epochs begun twice too."""
    folder = asked.folder / "search"
    try:
        with interrupted_in_time(asked.end):
            result = result_in(folder, table_ii(asked))
    except KeyboardInterrupt:
        events = read_journal(folder, SEARCH).events() if kind_in(folder) else ()
        done = sum(isinstance(event, EpochFinished) for _, event in events)
        return {"unfinished": f"{done} epochs of individuals are done"}
    journal = read_journal(folder, SEARCH)
    return {
        "GPU hours": result.seconds / 3600,
        **{f"{stage.name}, hours": stage.seconds / 3600 for stage in result.stages},
        **chosen(journal.started.config.runtime),
        "at work, hours": journal.seconds_at_work / 3600,
        "individuals failed": sum(len(stage.failed) for stage in result.stages),
        "acc_valid": result.best.trained.valid_accuracy,
    }


def evaluation(asked: Asked) -> dict[str, Case]:
    return {"estimated": partial(estimated_evaluation, asked), "measured": partial(first_epochs, asked)}


def estimated_evaluation(asked: Asked) -> Row:
    config, data = resolve_evaluation(asked.evaluation())
    images = config.images or len(data.train), len(data.test)
    found = estimate_evaluation(config, zoo_genotype(RACED_GENOTYPE), images, data.shape, asked.repeats)
    return {
        "images": images[0],
        "hours of 600 epochs": found.hours,
        "with CIFAR-10's 50,000": evaluation_hours(config, CIFAR10, found.step_seconds),
        **chosen_by_evaluation(config.runtime),
        "MiB": found.memory_bytes / MIB,
    }


def chosen_by_evaluation(runtime: ResolvedEvaluationRuntime) -> Row:
    """The same for an evaluation."""
    return {"amp": runtime.amp, "channels-last": "yes" if runtime.channels_last else "no"}


def first_epochs(asked: Asked) -> Row:
    config, folder = asked.evaluation(), asked.folder / "evaluation"
    short = config.model_copy(update={"epochs": EPOCHS})
    if on_card():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    try:
        with interrupted_in_time(asked.end):
            result = evaluation_in(folder, short, zoo_genotype(RACED_GENOTYPE))
    except KeyboardInterrupt:
        return {"unfinished": "an epoch takes long"}
    started = read_journal(folder, EVALUATION).started
    first, *others = (record.seconds for record in result.history)
    hours = (first + (config.epochs - 1) * mean(others)) / 3600
    to_train = config.images or started.dataset.n_train
    row = {
        "images": to_train,
        "hours of 600 epochs": hours,
        "with CIFAR-10's 50,000": hours * CIFAR10[0] / to_train,
        **chosen_by_evaluation(started.config.runtime),
        "first epoch, seconds": first,
        "later, seconds": mean(others),
        "images a second": result.history[-1].images_per_second,
        "test error, %": 100 * result.history[-1].test_error,
    }
    return row | ({"MiB": torch.cuda.max_memory_reserved() / MIB} if on_card() else {})


def small_search(asked: Asked, runtime: Mapping[str, Any]) -> SearchConfig:
    """Two stages of a minute's work for a card, with a smaller last batch; individuals are stacked by two."""
    sizes = {"cells": 4, "channels": 16, "batch": 64, "images": 2000, "epochs": 3}
    if asked.tiny:
        sizes = {"cells": 3, "channels": 2, "batch": 8, "images": 40, "epochs": 2}
    stages = (
        StageConfig(name="init", population=4, **sizes),
        StageConfig(name="final", survivors=2, children=2, **sizes),
    )
    return SearchConfig(
        dataset=asked.dataset(halved=True),
        space=asked.space(),
        stages=stages,
        runtime=SearchRuntimeConfig(executor="local", stack=2, **runtime),
    )


class Death:
    """An observer that kills its process, without a word, when so many epochs of individuals are told."""

    def __init__(self, epochs: int) -> None:
        self._left = epochs

    def notify(self, event: SearchEvent) -> None:
        self._left -= isinstance(event, EpochFinished)
        if not self._left:
            os.kill(os.getpid(), signal.SIGKILL)


def bits_of(folder: Path, config: SearchConfig, dies_after: int = 0) -> Bits:
    result = result_in(folder, config, observers=[Death(dies_after)] if dies_after else [])
    found = {}
    for stage in result.stages:
        for ranked in stage.ranked:
            one = ranked.trained
            arrays = [array for cell in (one.alpha.normal, one.alpha.reduce) for array in cell.arrays.values()]
            losses = [value for record in one.history for value in (record.train_loss, record.valid_loss)]
            found[one.individual.id] = np.concatenate([losses, *(np.ravel(array) for array in arrays)])
    return found


def apart(function: Callable[..., Bits], *arguments: Any) -> Bits:
    """In a process of its own: cuBLAS is settled at a process's first product."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def compared(one: Bits, other: Bits) -> Row:
    """Whether all is equal, and of the individuals that both have the largest difference."""
    both = one.keys() & other.keys()
    gaps = [float(np.abs(one[each] - other[each]).max()) for each in both if one[each].shape == other[each].shape]
    equal = one.keys() == other.keys() and all(np.array_equal(one[each], other[each]) for each in one)
    return {"equal": "yes" if equal else "no", "individuals": len(both), "largest difference": max(gaps, default=0.0)}


def determinism(asked: Asked) -> dict[str, Case]:
    return {f"graphs {graphs}": partial(searched_twice, asked, graphs) for graphs in ("off", "on")}


def searched_twice(asked: Asked, graphs: Literal["off", "on"]) -> Row:
    if graphs == "on" and not on_card():
        return NEEDS_CARD
    config = small_search(asked, {"deterministic": True, "cuda_graphs": graphs})
    found = [apart(bits_of, asked.folder / f"{graphs}-{time.time_ns()}", config) for _ in range(2)]
    return compared(*found)


def resumed(asked: Asked) -> dict[str, Case]:
    return {
        "deterministic": partial(killed, asked, {"deterministic": True}),
        "as by default": partial(killed, asked, {}),
    }


def killed(asked: Asked, runtime: Mapping[str, Any]) -> Row:
    """Killed in the second stage; by default two searches that nobody kills may differ, too, which is told beside."""
    config, folder = small_search(asked, runtime), asked.folder / str(time.time_ns())
    whole = apart(bits_of, folder / "whole", config)
    init = config.stages[0]
    try:
        apart(bits_of, folder / "killed", config, init.size * init.epochs + 3)
    except BrokenProcessPool:
        row = compared(whole, apart(bits_of, folder / "killed", config))
    else:
        return {"failed": "the search was not killed"}
    again = compared(whole, apart(bits_of, folder / "again", config))
    return {**row, "two whole ones equal": again["equal"]}
