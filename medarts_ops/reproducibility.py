"""What it takes to get the same bits again, as one value: seed, data, settings, versions, machine and code."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime

from medarts_ops.config import ResolvedEvaluateConfig, ResolvedSearchConfig
from medarts_ops.config_runtime import ResolvedEvaluationRuntime, ResolvedSearchRuntime
from medarts_ops.observers import DatasetSummary, ProcessStarted
from medarts_ops.provenance import git_commit, git_is_dirty, installed_version
from medarts_ops.training.runtime import Gpu, Numerics, Runtime
from medarts_ops.value import Value

PACKAGES = ("medarts-ops", "torch", "torchvision", "numpy", "mlflow", "optuna")
"""Distributions whose versions may change a result, or how it is stored."""

VARIABLES = """
    OMP_NUM_THREADS OMP_DYNAMIC MKL_NUM_THREADS MKL_DYNAMIC MKL_CBWR MKL_ENABLE_INSTRUCTIONS OPENBLAS_NUM_THREADS
    ATEN_CPU_CAPABILITY ONEDNN_MAX_CPU_ISA DNNL_MAX_CPU_ISA ONEDNN_DEFAULT_FPMATH_MODE
    CUBLAS_WORKSPACE_CONFIG NVIDIA_TF32_OVERRIDE TORCH_ALLOW_TF32_CUBLAS_OVERRIDE CUDA_VISIBLE_DEVICES
""".split()  # environment variables that choose threads, instructions or algorithms


class ReproducibilityRecord(Value):
    """How one start of a search or an evaluation came to its numbers; a resumed one has a record for each start.

    `runtime` is what was asked for, with every `auto` resolved; `numerics` what torch was really set to. Whatever could
    not be found out is None. The command line is left out: it may hold a password.
    """

    format: Literal["medarts-reproducibility"] = "medarts-reproducibility"
    version: Literal[1] = 1
    kind: Literal["search", "evaluation"]
    started: AwareDatetime
    seed: int
    dataset: str
    fingerprint: str
    runtime: ResolvedEvaluationRuntime | ResolvedSearchRuntime
    numerics: Numerics
    environment: dict[str, str]
    python: str
    packages: dict[str, str | None]
    platform: str
    cpu: str | None
    gpu: Gpu | None
    git_commit: str | None
    git_dirty: bool | None

    @property
    def file_name(self) -> str:
        """A name after the start that sorts by time and that every file system takes: `20261125T110300.042Z.json`."""
        began = self.started.astimezone(UTC)
        return f"{began:%Y%m%dT%H%M%S}.{began.microsecond // 1000:03}Z.json"


def reproducibility_record(
    config: ResolvedSearchConfig | ResolvedEvaluateConfig, dataset: DatasetSummary, started: datetime | None = None
) -> ReproducibilityRecord:
    """Record this process, this machine and the code in the current folder; raises as `Runtime.from_config`.

    The config's runtime is applied to this process first, as each training process does: what is read back is then
    what the training runs under, in worker processes too. `started` has a time zone, and is now by default.
    """
    runtime = Runtime.from_config(config.runtime)
    runtime.apply_to_process()
    began = datetime.now(UTC) if started is None else started.astimezone(UTC)
    return ReproducibilityRecord(
        kind="search" if isinstance(config, ResolvedSearchConfig) else "evaluation",
        started=began.replace(microsecond=began.microsecond // 1000 * 1000),
        seed=config.seed,
        dataset=dataset.name,
        fingerprint=dataset.fingerprint,
        runtime=config.runtime,
        numerics=Numerics.of_process(),
        environment={name: os.environ[name] for name in VARIABLES if name in os.environ},
        python=platform.python_version(),
        packages={name: installed_version(name) for name in PACKAGES},
        platform=platform.platform(),
        cpu=_cpu_name(),
        gpu=Gpu.of_device(runtime.device),
        git_commit=git_commit(),
        git_dirty=git_is_dirty(),
    )


def process_started(config: ResolvedSearchConfig | ResolvedEvaluateConfig, dataset: DatasetSummary) -> ProcessStarted:
    """The event that this process begins to work on a job; raises as `reproducibility_record`."""
    record = reproducibility_record(config, dataset)
    return ProcessStarted(name=record.file_name, record=record.model_dump(mode="json"))


def _cpu_name() -> str | None:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(names), platform.processor()) or None
