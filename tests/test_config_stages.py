"""How long α warms up in a stage, by shares and by epochs."""

from __future__ import annotations

import pytest

from medarts_ops.config import AlphaConfig, ProposalsConfig, RangeConfig, SearchConfig, StageConfig
from medarts_ops.errors import ConfigError


@pytest.mark.parametrize(
    ("of_stage", "of_individual", "epochs", "expected"),
    [
        (None, None, 25, 3),  # as many as the search's own warmup_epochs
        (0.4, None, 25, 10),  # P-DARTS
        (0.3, None, 50, 15),  # PC-DARTS
        (None, 0.35, 5, 2),  # 1.75
        (0.0, 0.35, 5, 0),  # the stage's own goes before the individual's
        (None, 0.5, 5, 3),  # 2.5: the later of two
        (None, 0.95, 5, 4),  # 4.75, but one epoch is left for α
        (None, 0.4, 1, 0),
        (None, 0.9, 1, 0),
    ],
)
def test_the_stages_share_goes_before_the_individuals_and_that_before_epochs(of_stage, of_individual, epochs, expected):
    assert StageConfig(epochs=epochs, warmup=of_stage).warmup_epochs(of_individual, 3) == expected


def stages(*warmups: float | None, epochs: int = 5) -> tuple[StageConfig, ...]:
    rest = [StageConfig(name=f"s{n}", epochs=epochs, warmup=each, survivors=1) for n, each in enumerate(warmups[1:])]
    return (StageConfig(epochs=epochs, population=2, warmup=warmups[0]), *rest)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"stages": stages(0.4, 0.9)},
            r"stages.1.warmup is 0.9, to the nearest all .* \(5\): allowed is less than 0.9",
        ),
        ({"stages": stages(None, epochs=1), "alpha": AlphaConfig(warmup=0.5)}, "alpha.warmup is 0.5, to the nearest"),
        ({"alpha": AlphaConfig(warmup=0.3, warmup_epochs=2)}, "alpha.warmup is 0.3 and alpha.warmup_epochs is 2: both"),
        ({"stages": stages(0.4, None), "alpha": AlphaConfig(warmup_epochs=5)}, "the shortest stage has 5 epochs"),
        (
            {"proposals": ProposalsConfig(space={"alpha_warmup": RangeConfig(low=0.1, high=1.0)})},
            "proposals.space.alpha_warmup.high is 1.0: allowed is below 1",
        ),
        (
            {
                "stages": stages(0.4, 0.0),
                "proposals": ProposalsConfig(space={"alpha_warmup": RangeConfig(low=0.1, high=0.5)}),
            },
            "proposals.space.alpha_warmup would change nothing",
        ),
    ],
)
def test_a_warm_up_that_leaves_alpha_untrained_or_says_nothing_is_refused(given, message):
    with pytest.raises(ConfigError, match=message):
        SearchConfig.model_validate(given)


def test_stages_with_a_share_of_their_own_do_not_limit_the_epochs_of_others():
    short = stages(0.4)[0]
    long = StageConfig(name="long", epochs=20, survivors=1)
    assert SearchConfig(stages=(short, long), alpha=AlphaConfig(warmup_epochs=10)).alpha.warmup_epochs == 10
