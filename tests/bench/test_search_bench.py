"""The bench measures what it says: launches, memory, and the two steps that it compares."""

from __future__ import annotations

import json

import pytest
import torch
from click.testing import CliRunner
from factories import make_search_config_tiny

from medarts_ops import resolving
from medarts_ops.bench.estimate import estimate_search
from medarts_ops.bench.launches import count_launches
from medarts_ops.bench.memory import peak_bytes
from medarts_ops.bench.reference_step import Order, reference_step
from medarts_ops.bench.search_step import forward_flop, measure_stack, measure_step
from medarts_ops.bench.strategies import measure_strategies
from medarts_ops.cli.main import medarts
from medarts_ops.config import DerivedConfig, PruneConfig, ResolvedObjective, SearchConfig, SpaceConfig, StageConfig
from medarts_ops.config_runtime import SearchRuntimeConfig
from medarts_ops.data.dataset import ImageShape
from medarts_ops.errors import DataError
from medarts_ops.networks.operations import build_operation
from medarts_ops.resolving import resolve_config_alone
from medarts_ops.shrinking import DrawnImages
from medarts_ops.training.made_up import made_up_batch
from medarts_ops.training.runtime import Runtime
from medarts_ops.training.trial_steps import step_of_search

SIZE = ImageShape.square(8)
CPU = torch.device("cpu")
DARTS = resolve_config_alone(SearchConfig(runtime=SearchRuntimeConfig(device="cpu", threads=1, workers=1)), (16, 16))
TWO_IMAGES = DARTS.stages[0].model_copy(update={"batch": 2})


def reference_launches(config: SearchConfig, stage: StageConfig, order: Order) -> int:
    runtime = Runtime.from_config(config.runtime)
    batches = (made_up_batch(stage.batch, SIZE, runtime, 0), made_up_batch(stage.batch, SIZE, runtime, 1))
    return sum(count_launches(reference_step(config, stage, batches, SIZE.n_classes, order)).values())


def test_views_are_free_and_a_convolution_costs_each_gradient_that_it_computes():
    conv = torch.nn.Conv2d(3, 4, 3)
    images = torch.randn(1, 3, 8, 8, requires_grad=True)
    counts = count_launches(lambda: conv(images).view(4, -1).t().sum().backward())
    assert counts["convolution"] == 1 and counts["convolution_backward"] == 3
    assert counts["sum"] == 1 and not counts["view"] and not counts["t"]


def test_a_foreach_call_counts_once_for_each_hundred_tensors():
    tensors = [torch.ones(1) for _ in range(250)]
    assert sum(count_launches(lambda: torch._foreach_mul_(tensors, 2.0)).values()) == 3


def test_peak_memory_is_what_lives_at_the_same_time():
    start = torch.ones(1000)

    def chain() -> float:
        value = start
        for _ in range(5):
            value = value.exp().neg()  # at most the old value, exp and neg are alive
        return float(value.sum())

    assert 2 * 4000 <= peak_bytes(chain, CPU) <= 3 * 4000 + 100


def test_what_was_there_before_a_step_is_not_its_memory():
    weights, gradient = torch.ones(1000), torch.ones(1000)
    assert peak_bytes(lambda: weights.add_(gradient), CPU) == 0


def test_the_reference_step_has_the_launches_of_the_original_code():
    launches = reference_launches(DARTS, TWO_IMAGES, "first")
    assert 17_500 <= launches * 1.3 and launches <= 17_500 * 1.3  # 17,513 were counted for 4 cells, ±30 %


def test_the_product_step_has_an_eighth_of_the_launches_and_a_stack_far_fewer_for_each():
    size = ImageShape.square(16)
    step = step_of_search(DARTS, TWO_IMAGES, size)
    step()  # the first one fills tables
    product = sum(count_launches(step).values())
    assert product <= 2_000 and product < reference_launches(DARTS, TWO_IMAGES, "first") / 8
    stacked = measure_stack(DARTS, TWO_IMAGES, size, repeats=1, individuals=8)
    assert stacked.launches_per_individual <= 275


def test_mixed_precision_costs_few_launches_more():
    config = DARTS.model_copy(update={"runtime": DARTS.runtime.model_copy(update={"amp": "bf16"})})
    step = step_of_search(config, TWO_IMAGES, ImageShape.square(16))
    step()
    assert sum(count_launches(step).values()) <= 2_200  # where casts alone were 700


def test_a_step_s_launches_are_those_of_a_card_whatever_its_width():
    narrow, wide = (TWO_IMAGES.model_copy(update={"cells": 3, "channels": channels}) for channels in (4, 16))
    size = ImageShape.square(16)  # of which a CPU norms the wide one by moments
    counts = []
    for stage in (narrow, wide):
        step = step_of_search(DARTS, stage, size)
        step()
        counts.append(sum(count_launches(step).values()))
    assert counts[0] == counts[1]


def test_needed_work_is_counted_as_by_hand():
    images = torch.randn(2, 4, 8, 8)
    conv = build_operation("sep_conv_3x3", 4, 1, affine=False)
    per_image = 64 * (2 * 4 * 9 + 2 * 4 * 4)  # two depthwise and two 1×1 convolutions, multiply-adds
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        conv(images)
    assert counter.get_total_flops() == 2 * 2 * per_image
    one, two = (forward_flop(DARTS, DARTS.stages[0].model_copy(update={"batch": n}), SIZE) for n in (1, 2))
    assert two == 2 * one > 0


def test_a_step_on_photos_is_raced_behind_the_stem_for_photos():
    size = ImageShape.square(96, in_channels=3, n_classes=2)
    photos = resolve_config_alone(SearchConfig(runtime=DARTS.runtime), (96, 96))
    stage = StageConfig(name="only", cells=3, channels=2, batch=2, population=1)
    timing = measure_step(photos, stage, size, 1)
    assert photos.stem == "imagenet" and timing.reference_launches > timing.launches
    # Its cells see 12×12, not 96×96.
    small = photos.model_copy(update={"stem": "cifar"})
    assert forward_flop(small, stage, size) > 20 * forward_flop(photos, stage, size)


def test_a_second_order_step_is_raced_against_its_own_kind_and_takes_more_passes():
    config = make_search_config_tiny()
    first, second = (measure_step(config, config.stages[0], SIZE, 1, order) for order in ("first", "second"))
    assert second.ratio > 0 and second.launches > first.launches
    assert second.reference_launches > 1.5 * first.reference_launches
    assert second.needed_gflop == pytest.approx(13 / 5 * first.needed_gflop)


def test_an_estimate_multiplies_the_steps_of_every_individual_and_epoch():
    config = make_search_config_tiny()
    estimate = estimate_search(config, DrawnImages((80, 80, 80)), SIZE, repeats=1)
    assert [stage.steps for stage in estimate.stages] == [3 * 1 * 2, 3 * 1 * 2, 1 * 1 * 2]
    assert estimate.hours == pytest.approx(sum(stage.hours for stage in estimate.stages))


def test_an_estimate_counts_what_pruning_leaves():
    tiny = make_search_config_tiny()
    stages = tuple(stage.model_copy(update={"epochs": 3}) for stage in tiny.stages)
    config = tiny.model_copy(update={"stages": stages, "prune": PruneConfig(after=1, keep=0.67)})
    estimate = estimate_search(config, DrawnImages((80, 80, 80)), SIZE, repeats=1)
    assert [stage.steps for stage in estimate.stages] == [(2 * 3 + 1) * 2, (2 * 3 + 1) * 2, 3 * 2]


def test_an_estimate_counts_the_short_trainings_that_individuals_could_ask_for():
    asked = {
        "objectives": (ResolvedObjective(name="derived_accuracy", direction="maximize"),),
        "derived": DerivedConfig(cells=3, channels=2, epochs=2, batch=32, held_out=0.2),
        "candidates": "epochs",
        "most_candidates": 2,
    }
    estimate = estimate_search(
        make_search_config_tiny().model_copy(update=asked), DrawnImages((80, 80, 80), 100), SIZE, repeats=1
    )
    assert estimate.genotypes is not None
    # Seven individuals, two candidates each, two epochs of 80 images in batches of 32.
    assert (estimate.genotypes.genotypes, estimate.genotypes.images, estimate.genotypes.steps) == (14, 80, 14 * 2 * 3)
    of_stages = sum(stage.hours for stage in estimate.stages)
    assert estimate.hours == pytest.approx(of_stages + estimate.genotypes.hours) and estimate.genotypes.hours > 0


def test_the_command_prints_json_with_the_keys_that_scripts_read(tmp_path):
    file = tmp_path / "tiny.yaml"
    space = SpaceConfig(nodes=2, primitives=("none", "max_pool_3x3", "skip_connect", "sep_conv_3x3"))
    stages = [{**s.model_dump(mode="json", exclude_none=True)} for s in make_search_config_tiny().stages]
    settings = {"extends": "digits", "search": {"space": space.model_dump(mode="json"), "stages": stages}}
    file.write_text(json.dumps(settings))
    words = [
        "bench",
        "search",
        "--config",
        str(file),
        "--cells",
        "4",
        "--cells",
        "3",
        "--channels",
        "2",
        "--resolution",
        "8",
        "--stack",
        "2",
    ]
    result = CliRunner().invoke(medarts, [*words, "--batch", "4", "--repeats", "1", "--device", "cpu", "--json"])
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["first_order"]["ratio"] > 0 and found["first_order"]["launches"] > 0
    assert found["second_order"]["ratio"] > 0 and found["second_order"]["launches"] > found["first_order"]["launches"]
    assert [size["cells"] for size in found["sizes"]] == [3, 4] and found["second_order"]["cells"] == 3
    assert found["stacked"]["individuals"] == 2 and found["stacked"]["launches_per_individual"] > 0
    assert found["estimate"]["hours"] > 0 and found["estimate"]["preset"] == "digits"


def test_partial_channels_save_half_of_the_time_and_most_of_the_memory():
    stage = DARTS.stages[0].model_copy(update={"cells": 3, "batch": 16})
    plain, partial = measure_strategies(DARTS, stage, ImageShape.square(16), 3, ("darts", "pc-darts"))
    assert partial.seconds_ratio <= 0.75 and partial.bytes_ratio <= 0.4  # 0.45 and 0.36 were measured, alone
    assert plain.bytes_ratio == plain.seconds_ratio == 1  # it is the yardstick itself, and is timed once


def test_a_strategy_that_trains_no_alpha_is_timed_without_its_step():
    plain, fixed = measure_strategies(DARTS, TWO_IMAGES, SIZE, 1, ("darts", "fixed"))
    assert fixed.launches < 0.6 * plain.launches


def test_the_configs_own_strategy_is_timed_with_its_settings(tmp_path):
    words = ["bench", "strategies", "--cells", "3", "--channels", "4", "--resolution", "8", "--batch", "2", "--device"]
    words += [
        "cpu",
        "--set",
        "space.nodes=2",
        "--repeats",
        "1",
        "--strategy",
        "pc-darts",
        "--json",
        "--set",
        "strategy.name=pc-darts",
        "--set",
    ]
    half, quarter = (
        json.loads(CliRunner().invoke(medarts, [*words, f"strategy.channel_share={share}"]).stdout)["strategies"]
        for share in (2, 4)
    )
    assert [timing["strategy"] for timing in half] == ["pc-darts"]
    assert quarter[0]["peak_bytes"] < half[0]["peak_bytes"] and half[0]["bytes_ratio"] < 1


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--strategy", "pcdarts"], "strategy.name: unknown strategy 'pcdarts': allowed are asap, darts"),
        (["--strategy", "pc-darts", "--channels", "6"], "channels are 6: allowed are multiples of 4"),
    ],
)
def test_a_strategy_that_can_not_be_timed_is_refused_in_one_line(words, named):
    result = CliRunner().invoke(medarts, ["bench", "strategies", "--device", "cpu", *words])
    assert result.exit_code == 2 and named in result.stderr and "Traceback" not in result.stderr


BENCH = (
    "bench search --cells 3 --channels 2 --resolution 8 --batch 2 --repeats 1 --device cpu --set space.nodes=2 --json"
)


def test_steps_are_timed_without_the_images_that_an_estimate_takes(monkeypatch):
    def missing(config):
        raise DataError("cifar10 is not here")

    monkeypatch.setattr(resolving, "resolve_search_config", missing)
    result = CliRunner().invoke(medarts, BENCH.split())
    assert result.exit_code == 0 and "a whole search is not estimated: cifar10 is not here" in result.stderr
    found = json.loads(result.stdout)
    assert found["estimate"] is None and found["first_order"]["ratio"] > 0


def test_images_that_were_named_and_are_missing_are_told_before_anything_is_timed(tmp_path):
    result = CliRunner().invoke(medarts, [*BENCH.split(), "--dataset", "npz", "--data", str(tmp_path / "no.npz")])
    assert result.exit_code == 1 and "no.npz" in result.stderr and "timing" not in result.stderr


def test_a_dry_run_tells_the_plan_and_stores_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["search", "--dry-run", "--device", "cpu", "--set", "runtime.threads=1", "--set", "runtime.workers=1"]
    small = [f"--set=stages.{index}.{name}=2" for index in range(3) for name in ("channels", "epochs")]
    result = CliRunner().invoke(medarts, [*words, *small, "--json"])
    assert result.exit_code == 0, result.stderr
    plan = json.loads(result.stdout)
    assert [stage["individuals"] for stage in plan["estimate"]["stages"]] == [6, 5, 1]
    assert plan["estimate"]["hours"] > 0 and plan["disk_bytes"] > 0
    assert all(stage["step_bytes"] > 0 for stage in plan["estimate"]["stages"])
    assert list(tmp_path.iterdir()) == []
