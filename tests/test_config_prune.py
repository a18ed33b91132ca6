"""How many of a population are trained to the end of its stage, and which settings of that are refused."""

from __future__ import annotations

import pytest

from medarts_ops.config import ObjectiveConfig, ProposalsConfig, PruneConfig, SearchConfig, StageConfig
from medarts_ops.errors import ConfigError


@pytest.mark.parametrize(
    ("after", "keep", "epochs", "population", "expected"),
    [
        (None, 0.5, 5, 8, 8),
        (2, 0.5, 5, 8, 4),
        (2, 0.5, 5, 5, 3),  # 2.5: the larger of two
        (2, 0.1, 5, 3, 1),  # 0.3, but somebody has to be found
        (2, 1.0, 5, 8, 8),
        (2, 0.5, 3, 8, 4),
        (2, 0.5, 2, 8, 8),  # at its end all are known as well as ever
        (9, 0.5, 5, 8, 8),
    ],
)
def test_a_share_of_a_population_is_kept_where_its_stage_goes_on(after, keep, epochs, population, expected):
    stage = StageConfig(epochs=epochs, population=population)
    assert PruneConfig(after=after, keep=keep).kept(stage) == expected


def test_whoever_is_ended_spares_the_epochs_that_are_left_of_the_stage():
    prune, stage = PruneConfig(after=2, keep=0.25), StageConfig(epochs=5, population=8)
    assert (prune.spared(stage), prune.spared(stage, 3), PruneConfig().spared(stage)) == (6 * 3, 1 * 3, 0)


def stages(population: int, survivors: int, epochs: int = 5) -> tuple[StageConfig, ...]:
    first = StageConfig(name="init", epochs=epochs, population=population)
    return first, StageConfig(name="final", epochs=epochs, survivors=survivors)


DERIVED = (ObjectiveConfig(name="derived_accuracy"), ObjectiveConfig(name="params"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"stages": stages(8, 3), "prune": PruneConfig(after=2, keep=0.25)},
            r"prune.keep is 0.25: 2 of 8 individuals of stage 'init' would train to its end, and stages.1.survivors "
            r"asks for 3; allowed is 0.313 to 1",
        ),
        (
            {"stages": stages(8, 1), "prune": PruneConfig(after=2), "min_survivors": 5},
            "prune.keep is 0.5: 4 of 8 .* and min_survivors asks for 5; allowed is 0.563 to 1",
        ),
        (
            {
                "stages": stages(4, 4),
                "prune": PruneConfig(after=1, keep=0.25),
                "proposals": ProposalsConfig(generations=2),
            },
            "prune.keep is 0.25: 2 of 8 individuals of stage 'init' .* asks for 4; allowed is 0.375 to 1",
        ),
        (
            {"stages": stages(8, 1), "prune": PruneConfig(after=2), "runtime": {"budget": "2h"}},
            "prune.after is 2 and runtime.budget is 7200 seconds: .* allowed is one of the two",
        ),
        (
            {"stages": stages(8, 8, epochs=2), "prune": PruneConfig(after=2)},
            "prune.after is 2 and prune.keep 0.5: nobody would be ended, since stages train 2, 2 epochs with 8, 8 "
            "individuals; allowed is an epoch before a stage's last and a share that leaves somebody out",
        ),
        (
            {"stages": stages(8, 1), "prune": PruneConfig(after=2), "objectives": DERIVED},
            "prune.after is 2 and objectives are derived_accuracy, params: .* allowed is with accuracy or valid_loss "
            "among them, or leave prune.after empty",
        ),
    ],
)
def test_what_a_search_could_not_go_on_from_is_refused_and_says_what_is_allowed(given, message):
    with pytest.raises(ConfigError, match=message):
        SearchConfig(**given)


@pytest.mark.parametrize(
    "given",
    [
        {"stages": stages(8, 3), "prune": PruneConfig(after=2, keep=0.313)},
        {"stages": stages(8, 1), "prune": PruneConfig(after=2, keep=0.563), "min_survivors": 5},
        {"stages": stages(4, 4), "prune": PruneConfig(after=1), "proposals": ProposalsConfig(generations=2)},
        {"stages": stages(8, 8, epochs=2), "prune": PruneConfig(after=2, keep=1)},  # as good as off
        {"stages": stages(8, 1), "objectives": DERIVED},
        {"stages": stages(8, 1), "prune": PruneConfig(after=2), "objectives": (*DERIVED, ObjectiveConfig())},
    ],
)
def test_what_the_refusals_allow_is_taken(given):
    SearchConfig(**given)


@pytest.mark.parametrize("given", [{"after": 0}, {"keep": 0.0}, {"keep": 1.1}])
def test_nobody_kept_or_nothing_trained_is_no_setting(given):
    with pytest.raises(ValueError, match="Input should be"):
        PruneConfig(**given)
