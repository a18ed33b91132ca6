"""`medarts bench evaluate` races two steps that compute the same."""

from __future__ import annotations

import copy
import json

import pytest
import torch
import torch.nn.functional as F
from click.testing import CliRunner
from factories import make_evaluation_runtime

from medarts_ops.bench.evaluation_step import measure_evaluation, plain_training_step, product_training_step
from medarts_ops.bench.launches import count_launches
from medarts_ops.bench.reference_evaluation import ReferenceDerivedNetwork
from medarts_ops.cli.main import medarts
from medarts_ops.config import AuxiliaryConfig, ResolvedEvaluateConfig
from medarts_ops.networks.derived import DerivedNetwork, path_factors
from medarts_ops.space.zoo import zoo_genotype

RUNTIME = make_evaluation_runtime()
TINY = ResolvedEvaluateConfig(cells=3, channels=4, batch=4, runtime=RUNTIME)


@pytest.mark.parametrize("name", ["DARTS_V2", "NASNet", "AmoebaNet", "GDAS_V1", "SETN"])
@pytest.mark.parametrize("drop", [0.0, 0.4])
def test_the_derived_network_equals_the_original_s_way_of_running_it(name, drop):
    torch.manual_seed(0)
    ours = DerivedNetwork(zoo_genotype(name), cells=5, channels=3, n_classes=3, in_channels=3, auxiliary=True).double()
    theirs = ReferenceDerivedNetwork(copy.deepcopy(ours))
    images, labels = torch.randn(6, 3, 9, 9, dtype=torch.float64), torch.tensor([0, 1, 2, 0, 1, 2])
    gradients = []
    draws = torch.rand(ours.n_paths, len(images), generator=torch.Generator().manual_seed(1))
    paths = path_factors(draws, 1 - drop, images.dtype) if drop else None
    for network, words in ((ours, (paths,)), (theirs, (drop, torch.Generator().manual_seed(1)))):
        logits, auxiliary = network(images, *words)
        loss = F.cross_entropy(logits, labels) + 0.4 * F.cross_entropy(auxiliary, labels)
        gradients.append([logits, auxiliary, *torch.autograd.grad(loss, list(network.parameters()))])
    for got, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(("together", "most"), [("on", 1_400), ("off", 2_650)])
def test_a_full_size_step_has_few_launches_and_hardly_more_in_mixed_precision(together, most):
    for amp in ("off", "bf16"):
        runtime = RUNTIME.model_copy(update={"paths_together": together, "amp": amp})
        step = product_training_step(TINY.model_copy(update={"cells": 20, "runtime": runtime}), 8)
        step()
        assert sum(count_launches(step).values()) <= most


def test_the_product_step_trains_with_fewer_launches():
    product, plain = (
        sum(count_launches(make(TINY, 8)).values()) for make in (product_training_step, plain_training_step)
    )
    assert 0 < product < plain


def test_a_network_without_auxiliary_head_can_be_raced():
    config = TINY.model_copy(update={"auxiliary": AuxiliaryConfig(weight=0.0)})
    assert measure_evaluation(config, 8, 1).launches < measure_evaluation(TINY, 8, 1).launches


def test_images_a_second_are_those_of_the_median_step():
    timing = measure_evaluation(TINY, 8, 1)
    assert timing.images_per_second == pytest.approx(4 / timing.seconds)
    assert timing.ratio == pytest.approx(timing.images_per_second / timing.plain_images_per_second)
    assert timing.peak_bytes > 0 and timing.plain_peak_bytes > 0


WORDS = ["bench", "evaluate", "--cells", "3", "--channels", "2", "--resolution", "8", "--batch", "4", "--repeats", "1"]


def test_the_command_prints_json_with_the_keys_that_scripts_read():
    result = CliRunner().invoke(medarts, [*WORDS, "--device", "cpu", "--set", "runtime.threads=1", "--json"])
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)["evaluation"]
    assert found["ratio"] > 0 and found["images_per_second"] > 0 and found["launches"] > 0
    assert (found["cells"], found["channels"], found["resolution"], found["batch"]) == (3, 2, 8, 4)


def test_the_table_names_both_steps():
    result = CliRunner().invoke(medarts, [*WORDS, "--device", "cpu", "--set", "runtime.threads=1"])
    assert result.exit_code == 0, result.stderr
    assert [line.split()[0] for line in result.stdout.splitlines()[2:]] == ["plain", "product"]
