"""What becomes of an evaluation whose training breaks off."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from factories import make_evaluate_config_tiny, make_genotype

from medarts_ops.errors import SearchError
from medarts_ops.evaluation import resume_evaluation, run_evaluation
from medarts_ops.journal.job import is_unfinished, kind_in
from medarts_ops.observers import EvaluationEvent
from medarts_ops.training.supervised import SupervisedTraining

CONFIG = make_evaluate_config_tiny()
GENOTYPE = make_genotype("sep_conv_3x3", nodes=2)


class Listener:
    def __init__(self) -> None:
        self.kinds: list[str] = []

    def notify(self, event: EvaluationEvent) -> None:
        self.kinds.append(event.kind)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), "out of memory with batch 256, 3 cells and 2 channels; lower"),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"),
            "out of memory with batch 256, 3 cells and 2 channels; lower",
        ),
        (TypeError("no\n such thing"), r"training broke off \(TypeError: no such thing\); `--debug` and the log"),
    ],
)
def test_one_that_breaks_off_says_why_in_a_line_and_goes_on_when_that_is_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    def step(self: SupervisedTraining, *batch: object, **more: object) -> object:
        raise error

    listener = Listener()
    with monkeypatch.context() as patch:
        patch.setattr(SupervisedTraining, "step", step)
        with pytest.raises(SearchError, match=f"evaluation {tmp_path.name}: {words}") as caught:
            run_evaluation(CONFIG, GENOTYPE, folder=tmp_path, observers=[listener])
    assert "\n" not in str(caught.value)
    assert listener.kinds == ["evaluation_started", "process_started", "evaluation_stopped"] and is_unfinished(tmp_path)
    assert len(resume_evaluation(tmp_path).history) == CONFIG.epochs


def test_one_whose_network_does_not_fit_never_began(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def build(self: SupervisedTraining, *arguments: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    listener = Listener()
    monkeypatch.setattr(SupervisedTraining, "__init__", build)
    with pytest.raises(SearchError, match="out of memory"):
        run_evaluation(CONFIG, GENOTYPE, folder=tmp_path, observers=[listener])
    assert listener.kinds == [] and kind_in(tmp_path) is None
