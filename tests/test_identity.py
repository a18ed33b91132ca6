"""What a checkpoint belongs to: equal work has equal identity, in this release and in those that began it."""

from __future__ import annotations

from typing import Any, ClassVar

from factories import (
    make_dataset_summary,
    make_evaluate_config_tiny,
    make_genotype,
    make_individual,
    make_search_config_tiny,
)

from medarts_ops.observers import EvaluationStarted
from medarts_ops.tasks import TrainingTask
from medarts_ops.training.genotype import EvaluationTask
from medarts_ops.value import Value, as_older_release, identity_of

CONFIG = make_search_config_tiny()
TASK = TrainingTask(
    individuals=(make_individual(0), make_individual(1)),
    stage=CONFIG.stages[0],
    config=CONFIG,
    stage_data="stage-0.npz",
    checkpoint="init-00.pt",
)
STARTED = EvaluationStarted(
    config=make_evaluate_config_tiny(),
    genotype=make_genotype("sep_conv_3x3", nodes=2),
    parameters=1234,
    dataset=make_dataset_summary(),
    mean=(0.5,),
    std=(0.25,),
)

PACES = ({"warmup": 0.0}, {"alpha_rate": 2.0})


def test_a_search_that_the_first_releases_began_finds_its_checkpoints():
    # As they computed it. If a new setting changes it, name the setting in its class's `added_later`.
    assert TASK.identity == "b7e550366266039052a2b8b253d01d77ea5dc7c0a3ff950442b9bf987a93a44a"


def test_an_evaluation_that_the_first_releases_began_finds_its_checkpoint():
    task = EvaluationTask(name="mine", started=STARTED)
    assert task.identity == "2347d8009e7a8e4ca5741303d8661671a026029d0b0b68d37605c70214c40c99"


def test_other_work_has_another_identity_and_other_places_have_not():
    alone = TASK.model_copy(update={"individuals": TASK.individuals[:1]})
    seeded = TASK.model_copy(update={"config": CONFIG.model_copy(update={"seed": 1})})
    elsewhere = TASK.model_copy(update={"stage_data": "elsewhere.npz", "checkpoint": None})
    assert len({TASK.identity, alone.identity, seeded.identity}) == 3
    assert elsewhere.identity == TASK.identity


class Part(Value):
    size: int = 1


class LaterPart(Value):
    added_later: ClassVar[frozenset[str]] = frozenset({"shape", "mask"})
    size: int = 1
    shape: str = "round"
    mask: tuple[int, ...] | None = None


class Whole(Value):
    part: Any
    parts: Any
    named: Any


def identity(part: Value) -> str:
    whole = Whole(part=part, parts=(Part(), part), named={"a": part})
    return identity_of(whole)


def test_a_field_that_a_release_added_counts_at_any_depth_unless_it_is_at_its_default():
    changed = [LaterPart(shape="square"), LaterPart(mask=(1,)), LaterPart(size=2)]
    assert len({identity(part) for part in (Part(), *changed)}) == 4
    assert identity(LaterPart()) == identity(Part())


class NewDefaultPart(Value):
    added_later: ClassVar[frozenset[str]] = frozenset({"shape"})
    as_before: ClassVar[dict[str, object]] = {"shape": "round"}
    size: int = 1
    shape: str = "auto"


def test_a_field_whose_default_is_not_what_was_before_is_left_out_at_what_was_before_alone():
    assert identity(NewDefaultPart(shape="round")) == identity(Part())
    assert len({identity(part) for part in (Part(), NewDefaultPart(), NewDefaultPart(shape="square"))}) == 3
    assert as_older_release(Whole(part=NewDefaultPart(), parts=(), named={})).part.shape == "round"


def test_a_stem_for_photos_is_other_work():
    config = CONFIG.model_copy(update={"stem": "imagenet"})
    assert TASK.model_copy(update={"config": config}).identity != TASK.identity


def test_a_warm_up_share_and_another_pace_of_alpha_are_other_work():
    stage = TASK.stage
    slower = [TASK.model_copy(update={"stage": stage.model_copy(update=pace)}) for pace in PACES]
    member = TASK.individuals[0]
    warm = member.hyperparameters.model_copy(update={"alpha_warmup": 0.2})
    warmer = TASK.model_copy(update={"individuals": (member.model_copy(update={"hyperparameters": warm}),)})
    alone = TASK.model_copy(update={"individuals": (member,)})
    assert len({task.identity for task in (TASK, alone, warmer, *slower)}) == 5
