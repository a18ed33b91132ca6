"""Where and how numbers are computed: as it is asked for, and as one machine resolved it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from medarts_ops.quantities import seconds_of
from medarts_ops.settings import MATRIX_SIDE, MAX_AT_A_TIME, MOST_MATRIX_SIDE, Settings, resolved, setting

CARDS = r"cuda:\d+(,cuda:\d+)*"
AtATime = Annotated[int, Field(ge=1, le=MAX_AT_A_TIME)]
MatrixSide = Annotated[int, Field(ge=0, le=MOST_MATRIX_SIDE)]
Switch = Literal["auto", "on", "off"]


class RayConfig(Settings):
    """Where Ray carries out tasks, and what each takes of a machine."""

    address: str | None = setting(
        None, "ours", "cluster to join: auto, HOST:PORT or ray://HOST:PORT; none starts Ray on this machine"
    )
    cpus_per_task: Annotated[float, Field(gt=0, le=MAX_AT_A_TIME)] | Literal["auto"] = setting(
        "auto", "ours", "CPUs that are kept for a task; auto: its threads"
    )
    gpus_per_task: Annotated[float, Field(ge=0, le=MAX_AT_A_TIME)] | Literal["auto"] = setting(
        "auto", "ours", "part of a card that is kept for a task: 0.5 packs two on one; auto: a whole one on CUDA"
    )
    memory: Annotated[float, Field(gt=0, le=1e6)] | None = setting(
        None, "ours", "GiB of a machine's memory that are kept for a task; none doesn't count it"
    )
    retries: Annotated[int, Field(ge=0, le=MAX_AT_A_TIME)] = setting(
        3, "ours", "times that a task is begun again from its last checkpoint where its process or machine died"
    )


def _may_be_text(given: object) -> object:
    if isinstance(given, bool):  # which pydantic takes for 1 and 0
        raise ValueError("allowed is a time, such as 2h, or a number of seconds")
    return seconds_of(given) if isinstance(given, str) else given


Seconds = Annotated[float, Field(gt=0), BeforeValidator(_may_be_text)]
"""A time in seconds, which may be given as text such as `2h`."""

PlannedSeconds = Annotated[float, Field(ge=0)]


class BudgetConfig(Settings):
    """How long a job may take, and what it was planned to take when it was fitted to that. The time may stand for all.

    All but `seconds` is written by whoever fits the plan, before the job begins.
    """

    seconds: Seconds | None = setting(
        None,
        "ours",
        "time that the job may take, such as 2h: the plan is made smaller until it fits, and where steps are slower "
        "than timed epochs end early; empty is without end",
    )
    scale: Annotated[float, Field(ge=0, le=1)] | None = setting(
        None, "ours", "written when the plan is fitted: what its epochs, individuals and images were multiplied by"
    )
    prepared: PlannedSeconds = setting(
        0.0, "ours", "written likewise: seconds that reading images and timing steps took, which are of the time"
    )
    stages: tuple[PlannedSeconds, ...] = setting((), "ours", "written likewise: seconds planned for each stage")
    genotypes: tuple[PlannedSeconds, ...] = setting(
        (), "ours", "written likewise: seconds planned for the short trainings of each stage's genotypes"
    )

    @model_validator(mode="before")
    @classmethod
    def _may_be_the_time(cls, given: object) -> object:
        return {"seconds": given} if given is None or isinstance(given, str | int | float) else given


class RuntimeConfig(Settings):
    """Where and how numbers are computed. Every `auto` is resolved once, at the start, and recorded so."""

    without_effect = frozenset({"memory", "executor", "ray", "budget"})

    device: str = setting(
        "auto",
        "ours",
        "auto, cpu, cuda, cuda:N or cards for a search's workers such as cuda:0,cuda:2",
        pattern=rf"^(auto|cpu|cuda|{CARDS})$",
    )
    amp: Literal["auto", "off", "fp16", "bf16"] = setting(
        "auto", "ours", "mixed precision; auto: bf16 from Ampere on, fp16 on older cards, off on a CPU"
    )
    threads: AtATime | Literal["auto"] = setting(
        "auto",
        "ours",
        "CPU threads of each training process; auto: its share of the cores that this process may use, no more than "
        "OMP_NUM_THREADS; results are bit-equal for equal threads",
    )
    channels_last: bool | Literal["auto"] = setting(
        "auto",
        "ours",
        "NHWC memory layout of a genotype's network, with other last digits; auto: true, but an evaluation on CUDA "
        "takes false if that is 5 % faster by a timing before it begins, unless it is deterministic, compiled, on a "
        "cluster of Ray or has paths_together on",
    )
    tf32: bool = setting(True, "ours", "TF32 matrix products on Ampere and newer")
    deterministic: bool = setting(
        False,
        "ours",
        "same bits on the same GPU each time, slower; an operation that can't is an error (a CPU always can)",
    )
    memory: Literal["refuse", "fit", "ignore"] = setting(
        "refuse",
        "ours",
        "what is done about a job that needs more memory than is free: it is refused, or fit takes smaller batches, "
        "which are recorded, or ignore lets it start",
    )
    executor: str = setting(
        "auto",
        "ours",
        "where is trained: local, processes or ray; auto: local for one worker, processes for more, "
        "ray where runtime.ray.address is given",
    )
    ray: RayConfig = Field(RayConfig(), description="Ray's, where it is the executor")
    budget: BudgetConfig = BudgetConfig()

    @model_validator(mode="before")
    @classmethod
    def _whose_address_is_given_is_asked(cls, given: object) -> object:
        if not isinstance(given, dict) or given.get("executor", "auto") != "auto":
            return given
        ray = given.get("ray")
        address = ray.get("address") if isinstance(ray, dict) else getattr(ray, "address", None)
        return given if address is None else {**given, "executor": "ray"}

    @property
    def device_names(self) -> tuple[str, ...]:
        """The device, or each of several cards."""
        return tuple(self.device.split(","))

    @property
    def elsewhere(self) -> bool:
        """Whether a cluster computes, and this machine need not have what it has."""
        return self.executor == "ray" and self.ray.address is not None


class SearchRuntimeConfig(RuntimeConfig):
    """What only a search has: several individuals at a time, and supernets."""

    as_before: ClassVar[Mapping[str, object]] = {"matrix_side": MATRIX_SIDE}

    workers: AtATime | Literal["auto"] = setting(
        "auto", "ours", "processes that train individuals side by side; 1 trains in this process, as auto on CUDA does"
    )
    stack: AtATime | Literal["auto"] = setting(
        "auto", "ours", "individuals whose supernets are trained as one; auto: 1 on a CPU, as many as fit on CUDA"
    )
    cuda_graphs: Switch = setting(
        "auto", "ours", "replay the search step as one CUDA graph; auto: on with CUDA, off if deterministic"
    )
    matrix_side: MatrixSide | Literal["auto"] = setting(
        "auto",
        "ours",
        "side in pixels of the largest maps whose depthwise convolutions supernets compute as matrix products, 0 for "
        f"none, with other last digits; 16 takes 16 times the memory of 8 for them; auto: {MATRIX_SIDE}, but a search "
        "on CUDA takes what is 5 % faster by a timing before it begins, unless it is deterministic or on a cluster of "
        "Ray",
    )


class EvaluationRuntimeConfig(RuntimeConfig):
    """What only an evaluation has: one training on several devices."""

    added_later = frozenset({"devices", "checkpoint_cells", "compile"})
    as_before: ClassVar[Mapping[str, object]] = {"cuda_graphs": "off", "paths_together": "off"}

    devices: AtATime = setting(
        1,
        "ours",
        "devices that share each batch of the one training: cards, or processes on a CPU; "
        "batch norm sees each device's images by themselves",
    )
    cuda_graphs: Switch = setting(
        "auto",
        "ours",
        "replay the training step as one CUDA graph; auto: on with one CUDA device, off if deterministic",
    )
    paths_together: Switch = setting(
        "auto",
        "ours",
        "compute a cell's separable convolutions of one kind as one, in half as many launches, with other last digits; "
        "auto: on with CUDA where launches take time, which is without graph and compiler, off on a CPU",
    )
    checkpoint_cells: bool = setting(
        False,
        "ours",
        "keep of a training step what is between cells, and compute what is inside them again for the backward pass: "
        "the same bits in less memory, slower",
    )
    compile: bool = setting(
        False,
        "ours",
        "have torch compile the network's training step, for minutes once and with other last digits: by a C++ "
        "compiler on a CPU, by triton on CUDA; smaller last batches and tests run as without",
    )


class ResolvedRuntime(RuntimeConfig):
    """A runtime as one machine resolved it: no `auto` is left. Its JSON is a RuntimeConfig's."""

    device: Annotated[str, Field(pattern=rf"^(cpu|cuda|{CARDS})$")] = resolved(RuntimeConfig, "device")
    amp: Literal["off", "fp16", "bf16"] = resolved(RuntimeConfig, "amp")
    threads: AtATime = resolved(RuntimeConfig, "threads")
    channels_last: bool = resolved(RuntimeConfig, "channels_last")

    @property
    def captures(self) -> bool:
        """Whether steps are CUDA graphs, which searches and evaluations can say."""
        return getattr(self, "cuda_graphs", "off") == "on"

    @property
    def compiles(self) -> bool:
        """Whether the network is compiled, which evaluations can say."""
        return bool(getattr(self, "compile", False))

    def side_by_side(self, workers: int) -> ResolvedSearchRuntime:
        """The same for so many trainings at a time."""
        more = {"workers": workers, "stack": 1, "cuda_graphs": "on" if self.captures else "off"}
        alone = {name: getattr(self, name) for name in ResolvedRuntime.model_fields}
        return ResolvedSearchRuntime.model_validate(alone | more)


class ResolvedEvaluationRuntime(ResolvedRuntime, EvaluationRuntimeConfig):
    """An evaluation's."""

    cuda_graphs: Literal["on", "off"] = resolved(EvaluationRuntimeConfig, "cuda_graphs")
    paths_together: Literal["on", "off"] = resolved(EvaluationRuntimeConfig, "paths_together")


class ResolvedSearchRuntime(ResolvedRuntime, SearchRuntimeConfig):
    """A search's. The executor `auto` is one by name: it follows from the number of workers."""

    workers: AtATime = resolved(SearchRuntimeConfig, "workers")
    stack: AtATime = resolved(SearchRuntimeConfig, "stack")
    cuda_graphs: Literal["on", "off"] = resolved(SearchRuntimeConfig, "cuda_graphs")
    matrix_side: MatrixSide = resolved(SearchRuntimeConfig, "matrix_side")
