"""What an evaluation is estimated to take, by the time of a batch and of an update of its weights."""

from __future__ import annotations

import pytest
from factories import make_evaluation_runtime

from medarts_ops.bench import estimate
from medarts_ops.bench.estimate import TEST_SHARE, TIMED_IMAGES, estimate_evaluation
from medarts_ops.config import ResolvedEvaluateConfig
from medarts_ops.data.dataset import ImageShape
from medarts_ops.space.zoo import zoo_genotype
from medarts_ops.training.trial_steps import step_of_evaluation

SIZE = ImageShape.square(8)
CONFIG = ResolvedEvaluateConfig(
    stem="cifar",
    cells=3,
    channels=4,
    batch=2 * TIMED_IMAGES,
    epochs=10,
    runtime=make_evaluation_runtime(),
)
GENOTYPE = zoo_genotype("DARTS_V2")


@pytest.mark.parametrize(("accumulate", "seconds"), [(1, 2 * 3 + 4), (8, 2 * 3 + 4 / 8)])
def test_an_update_is_counted_once_for_accumulated_batches_and_costs_no_more_of_larger_ones(
    monkeypatch: pytest.MonkeyPatch, accumulate: int, seconds: float
) -> None:
    """Half a batch took 3 seconds, an update 4."""
    monkeypatch.setattr(estimate, "time_interleaved", lambda *_: {"batch": 3.0, "update": 4.0})
    config = CONFIG.model_copy(update={"accumulate": accumulate})
    found = estimate_evaluation(config, GENOTYPE, (4 * config.batch, 3 * config.batch), SIZE, 1)
    assert found.step_seconds == seconds
    assert found.hours == pytest.approx(10 * (4 + 3 * TEST_SHARE) * seconds / 3600)


def test_a_batch_leaves_gradients_and_the_update_takes_them() -> None:
    parts = step_of_evaluation(CONFIG, GENOTYPE, SIZE)
    weights = parts.update.__self__.network.parameters  # type: ignore[attr-defined]
    before = [weight.detach().clone() for weight in weights()]
    parts.batch()
    assert all(weight.grad is not None for weight in weights())
    assert all(bool((weight == was).all()) for weight, was in zip(weights(), before, strict=True))
    parts.update()
    assert all(weight.grad is None for weight in weights())
    assert any(bool((weight != was).any()) for weight, was in zip(weights(), before, strict=True))
