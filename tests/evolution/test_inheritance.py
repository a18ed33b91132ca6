"""Survivors go on with the α that they were trained to."""

from __future__ import annotations

from factories import make_hyperparameters, make_individual, make_ranked, make_trained

from medarts_ops.evolution.inheritance import inherit


def test_trained_alpha_goes_on_bit_for_bit_and_not_the_one_at_birth() -> None:
    survivor = make_ranked(7)
    child = inherit([survivor], 1, "mid")[0]
    assert (
        child.alpha.normal.arrays["op_logits"].tobytes() == survivor.trained.alpha.normal.arrays["op_logits"].tobytes()
    )
    assert (
        child.alpha.reduce.arrays["op_logits"].tobytes() == survivor.trained.alpha.reduce.arrays["op_logits"].tobytes()
    )
    assert child.alpha != survivor.trained.individual.alpha


def test_the_survivors_are_numbered_by_rank_and_name_their_parent() -> None:
    children = inherit([make_ranked(7), make_ranked(2)], 2, "final")
    assert [(child.id, child.number, child.stage) for child in children] == [("final-00", 0, 2), ("final-01", 1, 2)]
    assert [child.parents for child in children] == [("init-07",), ("init-02",)]
    assert {child.origin for child in children} == {"inherited"}


def test_hyperparameters_stay_the_parents() -> None:
    own = make_hyperparameters(alpha_lr=5e-3)
    survivor = make_ranked(trained=make_trained(make_individual(hyperparameters=own)))
    assert inherit([survivor], 1, "mid")[0].hyperparameters == own


def test_no_survivor_gives_nobody() -> None:
    assert inherit([], 1, "mid") == ()
