"""A search that allows so many skip-connections: it trains the same, and reads another genotype."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories import make_search_config_tiny

from medarts_ops.config import ResolvedSearchConfig
from medarts_ops.individual import EvaluatedIndividual, TrainedIndividual
from medarts_ops.journal.journal import Journal
from medarts_ops.journal.kinds import SEARCH
from medarts_ops.observers import IndividualFinished
from medarts_ops.search import run_search


def trained_in(folder: Path, config: ResolvedSearchConfig) -> dict[str, TrainedIndividual]:
    """What a search's journal says of its individuals."""
    run_search(config, folder)
    outcomes = [e.outcome for _, e in Journal.open(folder, SEARCH).events() if isinstance(e, IndividualFinished)]
    return {each.id: each.trained for each in outcomes if isinstance(each, EvaluatedIndividual)}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, TrainedIndividual], dict[str, TrainedIndividual]]:
    """One stage of six individuals without the setting, and with no skip allowed."""
    tiny = make_search_config_tiny()
    config = tiny.model_copy(update={"stages": (tiny.stages[0].model_copy(update={"population": 6}),)})
    guarded = config.model_copy(update={"max_skips": 0})
    folder = tmp_path_factory.mktemp("max-skips")
    return trained_in(folder / "plain", config), trained_in(folder / "guarded", guarded)


def test_no_genotype_has_more_skips_and_the_record_of_an_epoch_agrees(both) -> None:
    plain, guarded = both
    assert any(each.genotype.skip_count("normal") for each in plain.values())
    for each in guarded.values():
        assert each.genotype.skip_count("normal") == 0
        assert [record.normal_skips for record in each.history] == [0]


def test_what_was_set_aside_is_kept_and_alpha_is_what_it_was(both) -> None:
    plain, guarded = both
    for name, each in guarded.items():
        assert each.alpha == plain[name].alpha
        assert len(each.skips_set_aside) >= plain[name].genotype.skip_count("normal")
        assert bool(each.skips_set_aside) == (each.genotype != plain[name].genotype)
        assert each.genotype.reduce == plain[name].genotype.reduce
        assert plain[name].skips_set_aside == ()
