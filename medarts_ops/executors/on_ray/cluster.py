"""The cluster of Ray that this process is of: joined or started, and whether it has room."""

from __future__ import annotations

import contextlib
import logging
import math
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from threading import current_thread, main_thread
from typing import NamedTuple, TypeVar

import ray

from medarts_ops.config_runtime import ResolvedSearchRuntime, RuntimeConfig, SearchRuntimeConfig
from medarts_ops.errors import ConfigError, named
from medarts_ops.training.runtime import fast_amp, resolve_device

AnyRuntime = TypeVar("AnyRuntime", bound=RuntimeConfig)

ANSWER_WITHIN = 30.0  # seconds


class Needs(NamedTuple):
    """What one task takes of a machine; `memory` in bytes, 0 where it isn't counted."""

    cpus: float
    gpus: float
    memory: int

    @classmethod
    def from_config(cls, config: RuntimeConfig) -> Needs:
        """What `runtime.ray` asks for; by default a task's threads, and a whole card where it computes on one."""
        asked = config.ray
        gpus = float(config.device.startswith("cuda")) if asked.gpus_per_task == "auto" else asked.gpus_per_task
        cpus = float(config.threads) if asked.cpus_per_task == "auto" else asked.cpus_per_task
        return cls(cpus, gpus, int((asked.memory or 0) * 2**30))

    def places_on(self, machine: Mapping[str, float]) -> int:
        """How many tasks a machine of these resources has room for."""
        asked = {"CPU": self.cpus, "GPU": self.gpus, "memory": self.memory}
        return min(int(machine.get(name, 0.0) / amount + 1e-9) for name, amount in asked.items() if amount)


def resolved_there(runtime: AnyRuntime) -> AnyRuntime:
    """A runtime without `auto`, as the cluster gives it that it names: cards if it has any, a worker for each place.

    Raises:
        ConfigError: no cluster answers, or no machine of it has room for a task.
    """
    join(runtime.ray.address)
    has_cards = ray.cluster_resources().get("GPU", 0) > 0
    device = ("cuda" if has_cards else "cpu") if runtime.device == "auto" else runtime.device
    cpus = runtime.ray.cpus_per_task
    threads = max(1, round(1 if cpus == "auto" else cpus)) if runtime.threads == "auto" else runtime.threads
    found = runtime.model_copy(update={"device": device, "threads": threads})
    wants = Needs.from_config(found)
    more: dict[str, object] = {}
    if isinstance(found, SearchRuntimeConfig):
        workers = _places(wants) if found.workers == "auto" else found.workers
        more["workers"] = max(1, workers)
        check_places(wants, max(1, workers))
    if found.amp == "auto" and device == "cpu":
        more["amp"] = fast_amp(resolve_device(device))
    elif found.amp == "auto":
        ask = ray.remote(num_cpus=wants.cpus, num_gpus=wants.gpus)(_fast_amp_there)
        with _entering("the cluster of Ray was lost before the job began", "give one that is there"):
            more["amp"] = ray.get(ask.remote(device))
    return found.model_copy(update=more)


def _fast_amp_there(device: str) -> str:
    return fast_amp(resolve_device(device))


def start_here(config: ResolvedSearchRuntime) -> None:
    """Start Ray with a place for each worker, unless this process is of a cluster already."""
    if ray.is_initialized():
        return
    wants = Needs.from_config(config)
    with _entering("runtime.executor is 'ray' and Ray can't be started on this machine", "see its own message"):
        ray.init(
            address="local",
            num_cpus=math.ceil(config.workers * wants.cpus),
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )


def join(address: str | None) -> None:
    """Join the cluster there, unless this process is of one already; a ConfigError if none answers."""
    if ray.is_initialized():
        return
    with _entering(
        f"runtime.ray.address is {address!r} and no cluster of Ray can be joined there",
        "allowed are auto on one of its machines, HOST:PORT and ray://HOST:PORT; `ray start --head` starts one, and "
        "where it asks for a token this machine needs its ~/.ray/auth_token",
    ):
        _check_that_it_answers(address or "")
        join_once = partial(ray.init, address=address, log_to_driver=False, logging_level=logging.ERROR)
        try:
            join_once()
        except ConnectionAbortedError:  # its head now and then fails to start the process of a client, after 30 s
            join_once()


def _check_that_it_answers(address: str) -> None:
    """Raise if nobody does within `ANSWER_WITHIN`, or not as a cluster: Ray itself would try for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not (colon and port.isdigit()):
        return
    socket.create_connection((host, int(port)), timeout=ANSWER_WITHIN).close()
    if address.startswith("ray://"):
        return  # a client gives up by itself
    words = [sys.executable, "-m", "ray.scripts.scripts", "health-check", "--address", address]
    asked = subprocess.run(words, capture_output=True, text=True, timeout=ANSWER_WITHIN)
    if asked.returncode:
        raise ConnectionError((asked.stderr.strip() or "it is not well").splitlines()[-1])


def _machines() -> list[Mapping[str, float]]:
    return [each["Resources"] for each in ray.nodes() if each["Alive"]]


def _places(wants: Needs) -> int:
    return sum(wants.places_on(machine) for machine in _machines())


def check_places(wants: Needs, workers: int) -> None:
    """A ConfigError if Ray has room for fewer than so many tasks at a time."""
    found, machines = _places(wants), _machines()
    if found >= workers:
        return
    most = {name: max((each.get(name, 0.0) for each in machines), default=0.0) for name in ("CPU", "GPU")}
    asked = [name for name, amount in zip(("cpus_per_task", "gpus_per_task", "memory"), wants, strict=True) if amount]
    allowed = f"allowed are 1 to {found} workers" if found else f"lower runtime.ray.{' or '.join(asked)}"
    memory = f" and {wants.memory / 2**30:g} GiB" if wants.memory else ""
    raise ConfigError(
        f"runtime.workers is {workers} and Ray has {found} places for tasks of {wants.cpus:g} CPUs, {wants.gpus:g} "
        f"GPUs{memory} (its largest machine has {most['CPU']:g} CPUs and {most['GPU']:g} GPUs): {allowed}"
    )


def _what_it_says(error: Exception) -> str:
    if isinstance(error, subprocess.TimeoutExpired):
        return f"what listens there does not answer as a cluster within {ANSWER_WITHIN:g} s"
    if "Traceback" in str(error):
        return f"{type(error).__name__}: {str(error).splitlines()[-1][:200]}"
    return named(error)[:200]


@contextlib.contextmanager
def _entering(wrong: str, remedy: str) -> Iterator[None]:
    """While Ray is joined or started: its errors are one line, and SIGTERM is heeded afterwards as it was before."""
    on_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        yield
    except Exception as error:  # Ray raises whatever it stumbles over
        raise ConfigError(f"{wrong} ({_what_it_says(error)}): {remedy}") from error
    finally:
        if on_sigterm is not None and current_thread() is main_thread():
            # Ray has put its own in its place, which ends the process before it is said how to go on.
            signal.signal(signal.SIGTERM, on_sigterm)
