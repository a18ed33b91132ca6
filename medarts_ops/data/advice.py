"""What to search a set of images with: settings, and in short why each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from medarts_ops.class_report import UNEQUAL
from medarts_ops.config import DatasetConfig, SearchConfig
from medarts_ops.data.proxy import LEAST_PER_CLASS, Sampling
from medarts_ops.data.suitable import (
    ENOUGH,
    KEPT,
    LEAST_STEPS,
    LEAST_STEPS_AN_EPOCH,
    Counts,
    StagePlan,
    most_side,
    planned,
    sees_half,
    suitable_resolution,
    suitable_sampling,
    suitable_short_batch,
    suitable_stages,
    training_counts,
)
from medarts_ops.data.survey import ELONGATED, Shapes, Survey
from medarts_ops.quantities import counted
from medarts_ops.settings import PHOTO_SIDE

WORTH_SAYING = 0.1
"""The part of the images from which on elongated ones matter (ours)."""

MODERATE = 2.0
"""Long side over short side up to which a square cut out of the middle keeps half of an image or more (ours)."""

WIDE = 5
"""Points of a standard error from which on few individuals differ by more than chance (ours)."""

SHOWN = 5
"""Classes that a problem names."""

DIGITS = tuple("0123456789")


Setting = bool | int | float | str | None


@dataclass(frozen=True)
class Choice:
    """One thing that is advised: what it is of, its value and why, all in words."""

    of: str
    value: str
    why: str


@dataclass(frozen=True)
class Advice:
    """Settings by their dotted path in a search's config, those that differ from its preset's, and why."""

    settings: dict[str, Setting]
    choices: tuple[Choice, ...]
    stages: tuple[StagePlan, ...]


def advise(survey: Survey, config: SearchConfig) -> Advice | None:
    """What to search these images with, over `config`, which is their preset's.

    None where there is nothing to advise on: fewer than two classes, or a class with too few images for any search.
    """
    counts, classes = training_counts(survey, config.dataset), survey.classes
    if survey.shapes is None or len(counts) < 2 or counts.min() < LEAST_PER_CLASS:
        return None
    n = int(counts.sum())
    resolution, sampling = suitable_resolution(survey.shapes, n, config.dataset), suitable_sampling(counts)
    side, stages = resolution or survey.shapes.longest_side, suitable_stages(counts, sampling, classes, config)
    plans = tuple(planned(stage, counts, sampling, classes, config) for stage in stages)
    fit = _fit(survey)
    wanted: dict[str, tuple[Setting, Setting]] = {
        "dataset.resolution": (config.dataset.resolution, resolution),
        "dataset.fit": (config.dataset.fit, fit.value),
        "dataset.skip_unreadable": (config.dataset.skip_unreadable, bool(survey.unreadable)),
        "dataset.low_resolution": (config.dataset.low_resolution, sees_half(side, config.dataset)),
        "dataset.sampling": (config.dataset.sampling, sampling),
    }
    for index, (before, stage) in enumerate(zip(config.stages, stages, strict=True)):
        for name in ("images", "batch", "epochs"):
            wanted[f"stages.{index}.{name}"] = (getattr(before, name), getattr(stage, name))
    short = suitable_short_batch(counts, sampling, classes, config)
    wanted["derived.batch"] = (config.derived.batch, short)
    choices = (
        _resolution(survey.shapes, n, resolution, is_halved=sees_half(side, config.dataset)),
        fit,
        _stem(side),
        *_test_set(survey, config.dataset),
        _sampling(counts, sampling, classes),
        *_measure(counts, classes),
        *_mirror(survey, config),
        _batch(plans, short if config.trains_genotypes else None),
        _budget(plans, config),
    )
    return Advice({path: to for path, (was, to) in wanted.items() if was != to}, choices, plans)


def problems(survey: Survey, config: SearchConfig) -> tuple[str, ...]:
    """All that has to be mended before these images can be searched with `config`'s dataset settings."""
    return (*survey.problems, *_unreadable(survey), *_shortages(survey, config.dataset))


def hindrances(survey: Survey, config: SearchConfig) -> tuple[str, ...]:
    """Those of the `problems` that are there without the images that can't be read, too."""
    return (*survey.problems, *_shortages(survey, config.dataset))


def _unreadable(survey: Survey) -> Iterator[str]:
    if survey.unreadable:
        first, n = survey.unreadable[0], len(survey.unreadable)
        yield (
            f"{n:,} of {survey.n_images + n:,} images can't be read, the first is {first.name!r} ({first.reason}): "
            "replace, scale down or remove them, or leave them out by dataset.skip_unreadable=true"
        )


def _shortages(survey: Survey, config: DatasetConfig) -> Iterator[str]:
    """Of classes with images, but too few readable ones."""
    found = {name: survey.of_class(name, "training") for name in survey.classes}
    left = dict(zip(survey.classes, training_counts(survey, config).tolist(), strict=True))
    are_looked_at = {image.class_name for image in survey.unreadable} | {name for name, n in found.items() if n}
    short = [name for name in survey.classes if name in are_looked_at and left[name] < LEAST_PER_CLASS]
    if short and len(survey.classes) > 1:
        named = ", ".join(f"{name!r} has {found[name]}" for name in short[:SHOWN])
        more = f", and {len(short) - SHOWN} more have" if len(short) > SHOWN else ""
        held = ", and one to hold out for the test" if not survey.brings_test else ""
        yield (
            f"too few readable images: class {named}{more}, a search needs {LEAST_PER_CLASS} of each class{held}; add "
            "images or drop the class"
        )
    for name in dict.fromkeys(image.class_name for image in survey.unreadable if survey.roles[image.part] == "test"):
        if not survey.of_class(name, "test"):
            yield f"class {name!r} has test images, and none that can be read: replace or remove them"


def _resolution(shapes: Shapes, n: int, resolution: int | None, *, is_halved: bool) -> Choice:
    seen = "; the search itself sees half of it" if is_halved else ""
    if resolution is None:
        size = f"{shapes.heights.largest:.0f}×{shapes.widths.largest:.0f}"
        return Choice("resolution", "their own", f"all images are {size}{seen}")
    quartile, most = int(shapes.short_sides.quartile), most_side(n)
    why = f"three quarters of the images have a short side of {quartile:,} or more"
    if resolution > quartile:
        why = f"a quarter of the images have a short side of {quartile:,} or less; smaller ones are enlarged"
    elif most < quartile:
        why += f", but {n:,} training images are {'few' if n < ENOUGH else 'many'} for more"
    return Choice("resolution", str(resolution), f"{why}{seen}")


def _fit(survey: Survey) -> Choice:
    shapes = survey.shapes
    assert shapes is not None
    share, aspects = shapes.elongated / survey.n_images, shapes.aspects
    if share < WORTH_SAYING:
        return Choice("fit", "squash", f"{_percent(1 - share)} of the images are near enough to squares")
    if shapes.are_equal:
        return Choice("fit", "squash", "all images have one shape, so that a square changes all of them alike")
    of_shapes = (
        f"{_percent(share)} of the images are over {ELONGATED} times as long as wide, or as wide as long "
        f"(width:height {aspects.smallest:.2g} to {aspects.largest:.2g}), and squashed ones look different"
    )
    if shapes.elongations.median <= MODERATE:
        return Choice("fit", "crop", f"{of_shapes}; pad if what counts is near the edges")
    return Choice("fit", "pad", f"{of_shapes}; crop, which loses the ends, if what counts is in the middle")


def _stem(side: int) -> Choice:
    if side >= PHOTO_SIDE:
        why = f"from {PHOTO_SIDE} pixels on: three convolutions of stride 2 bring {side} to {-(-side // 8)}"
        return Choice("stem", "imagenet", f"{why}, so cheaply that the search can see the images whole")
    return Choice("stem", "cifar", f"below {PHOTO_SIDE} pixels every one is worth a place in the first cell")


def _test_set(survey: Survey, config: DatasetConfig) -> Iterator[Choice]:
    if not survey.brings_test:
        why = f"there is none: {_percent(config.test_share)} of each class are kept from the search and from training"
        both = "; of equal images some may be trained on and others tested on" if survey.copies else ""
        yield Choice("test set", "held out", why + both)


def _sampling(counts: Counts, sampling: Sampling, classes: Sequence[str]) -> Choice:
    n, balanced = int(counts.sum()), int(counts.min()) * len(counts)
    smallest = f"as many of each class as {classes[int(counts.argmin())]!r} has, {int(counts.min()):,}"
    if sampling == "stratified":
        why = f"a balanced draw takes {smallest}: {balanced:,} of {n:,} training images; stratified takes all {n:,}"
    elif balanced == n:
        why = f"classes are equal, {int(counts.min()):,} training images each"
    else:
        enough = "half of them" if balanced >= KEPT * n else f"{ENOUGH:,}"
        why = f"{smallest}: {balanced:,} of {n:,} training images, {enough} or more; accuracy counts all classes alike"
    return Choice("sampling", sampling, why)


def _measure(counts: Counts, classes: Sequence[str]) -> Iterator[Choice]:
    largest, smallest = int(counts.argmax()), int(counts.argmin())
    ratio = counts[largest] / counts[smallest]
    if ratio >= UNEQUAL:
        why = (
            f"{classes[largest]!r} has {ratio:.1f} times the images of {classes[smallest]!r}: who says "
            f"{classes[largest]!r} each time has an accuracy of {_percent(counts[largest] / counts.sum())}"
        )
        yield Choice("judge by", "balanced accuracy", why)


def _mirror(survey: Survey, config: SearchConfig) -> Iterator[Choice]:
    """Only where names speak for it: whether a mirrored image means the same can't be seen."""
    if not config.augment.flip:
        return
    are_grey = all(kind.startswith("grey") for kind in survey.kinds)
    words = {word for name in survey.classes for word in re.split(r"[^a-z]+", name.lower())}
    if are_grey and survey.classes == DIGITS:
        yield Choice("mirror", "no, if digits", "a mirrored digit is no digit: --set augment.flip=false")
    elif {"left", "right"} <= words:
        yield Choice("mirror", "no, if sides count", "a mirrored left is a right: --set augment.flip=false")


def _batch(plans: Sequence[StagePlan], short: int | None) -> Choice:
    batches = sorted({plan.batch for plan in plans})
    steps = min(plan.steps // plan.epochs for plan in plans)
    few = "" if steps >= LEAST_STEPS_AN_EPOCH else ", which are few, but smaller batches are too small for batch norm"
    alone = "" if short is None else f"; a genotype's short training has {short}"
    return Choice(
        "batch", " and ".join(map(str, batches)), f"an epoch has {counted(steps, 'step')} or more{few}{alone}"
    )


def _budget(plans: Sequence[StagePlan], config: SearchConfig) -> Choice:
    epochs = ", ".join(str(plan.epochs) for plan in plans)
    steps = ", ".join(f"{plan.steps:,} in stage {plan.name}" for plan in plans)
    measured = min(plan.measured for plan in plans)
    points = 100 * (0.25 / measured) ** 0.5  # the standard error of a share at its widest, at one half
    individuals = sum(stage.size * config.populations_of(index) for index, stage in enumerate(config.stages))
    why = (
        f"steps: {steps}, {LEAST_STEPS} or more as in the paper's first; {individuals} individuals; an accuracy is "
        f"measured on {measured:,} images or more: its standard error is up to {points:.1f} points"
        f"{', too much to tell many individuals apart: add images' if points > WIDE else ''}"
    )
    return Choice("epochs", epochs, why)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
