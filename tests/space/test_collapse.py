"""Who finds a cell of skip-connections is told what that often means."""

from __future__ import annotations

import pytest
from factories import make_genotype

from medarts_ops.space.collapse import collapse_warning
from medarts_ops.space.genotype import Genotype


def with_skips(skips: int) -> Genotype:
    genotype = make_genotype()
    normal = [
        ("skip_connect" if place < skips else name, source) for place, (name, source) in enumerate(genotype.normal)
    ]
    return genotype.model_copy(update={"normal": tuple(normal)})


@pytest.mark.parametrize("skips", [0, 1, 2])
def test_two_skips_are_usual(skips: int) -> None:
    assert collapse_warning(with_skips(skips)) is None


def test_more_are_named_with_what_to_do() -> None:
    warning = collapse_warning(with_skips(5))
    assert warning is not None and "\n" not in warning
    assert warning.startswith("the normal cell has 5 skip-connections")
    assert "max_skips=2" in warning and "another individual" in warning


def test_skips_of_the_reduction_cell_are_none_of_it() -> None:
    genotype = make_genotype("skip_connect").model_copy(update={"normal": make_genotype().normal})
    assert collapse_warning(genotype) is None
