"""What can only be tried on a CUDA device."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch
from factories import make_evaluate_config_tiny, make_search_config_tiny

from medarts_ops.config import EvaluateConfig, ResolvedSearchConfig
from medarts_ops.config_runtime import SearchRuntimeConfig
from medarts_ops.data.search_data import prepare_search_data
from medarts_ops.individual import SearchResult
from medarts_ops.networks.layout import SupernetSpec
from medarts_ops.networks.skip_dropout import SkipDropout
from medarts_ops.networks.supernet import Supernet
from medarts_ops.resolving import resolve_evaluation, resolve_search_config
from medarts_ops.search import run_search
from medarts_ops.space.search_space import OPERATIONS, SearchSpace
from medarts_ops.training.placed_images import StageTensors
from medarts_ops.training.runtime import Runtime

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here"),
]


def tiny(device: str, amp: str) -> ResolvedSearchConfig:
    runtime = SearchRuntimeConfig(device=device, amp=amp, threads=1, tf32=False)
    resolved, _ = resolve_search_config(make_search_config_tiny().model_copy(update={"runtime": runtime}))
    return resolved


def search(folder: Path, device: str, amp: str) -> SearchResult:
    folder.mkdir()
    return run_search(tiny(device, amp), folder)


@pytest.mark.parametrize("share", [1, 2])
def test_the_supernet_computes_what_it_computes_on_the_cpu(share):
    torch.manual_seed(0)
    space = SearchSpace(primitives=OPERATIONS)
    spec = replace(SupernetSpec.full(space), channel_share=share)
    network = Supernet(spec, cells=3, channels=4, n_classes=3, in_channels=3, individuals=2).double()
    images = torch.randn(2, 4, 3, 9, 9, dtype=torch.float64)
    mixtures = [torch.randn(2, space.n_edges, space.n_primitives).double().softmax(-1) for _ in range(2)]
    probability, seeds = torch.tensor([0.3, 0.0]).double(), torch.tensor([2**40, -1])
    expected = network(images, *mixtures, SkipDropout(probability, seeds))
    dropout = SkipDropout(probability.cuda(), seeds.cuda())
    got = network.cuda()(images.cuda(), *(mixture.cuda() for mixture in mixtures), dropout)
    torch.testing.assert_close(got.cpu(), expected, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("amp", ["fp16", "bf16"])
def test_mixed_precision_trains_to_the_end(tmp_path, amp):
    result = search(tmp_path / "mixed", "cuda", amp)
    assert all(not stage.failed for stage in result.stages)


def test_images_that_do_not_fit_stay_in_pinned_memory(monkeypatch):
    runtime = Runtime.from_config(tiny("cuda", "off").runtime)
    data = prepare_search_data(tiny("cuda", "off")).stages[0]
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (data.images.nbytes, data.images.nbytes))
    tensors = StageTensors.place(data, runtime)
    assert tensors.placed.images.is_pinned()
    taken = runtime.take(tensors.placed.images, torch.tensor([0, 1]))
    assert taken.is_cuda and torch.equal(taken.cpu(), torch.from_numpy(data.images[:2]))


def deterministic_search(folder: Path, graphs: str) -> str:
    """All stages of a search of two stacked individuals at a time, but for the clock's part."""
    runtime = {"deterministic": True, "stack": 2, "cuda_graphs": graphs}
    config = tiny("cuda", "auto")
    config = config.model_copy(update={"runtime": config.runtime.model_copy(update=runtime)})
    folder.mkdir()
    result = run_search(config, folder)
    best = [ranked.trained for stage in result.stages for ranked in stage.ranked]
    return "\n".join(f"{each.alpha.model_dump_json()} {each.history[-1].valid_loss!r}" for each in best)


@pytest.mark.parametrize("graphs", ["off", "on"])
def test_two_deterministic_searches_are_equal_bit_for_bit(tmp_path, graphs):
    found = []
    for name in ("once", "again"):  # each in a process of its own: cuBLAS is settled at a process's first product
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            found.append(pool.submit(deterministic_search, tmp_path / name, graphs).result())
    assert found[0] == found[1]


def test_layouts_are_chosen_by_steps_that_ran(caplog):
    caplog.set_level("INFO", logger="medarts_ops")
    assert tiny("cuda", "auto").runtime.matrix_side in (0, 2, 4, 8)
    tiny_evaluation = make_evaluate_config_tiny().model_dump(mode="json", exclude={"runtime"})
    asked = EvaluateConfig.model_validate(tiny_evaluation | {"runtime": {"device": "cuda"}})
    assert isinstance(resolve_evaluation(asked)[0].runtime.channels_last, bool)
    assert "not be timed" not in caplog.text and caplog.text.count("a step takes with") == 2
