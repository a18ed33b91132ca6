"""The images that an evaluation trains on: all, or a D_sample of them (paper IV.D), some held back to validate."""

from __future__ import annotations

from math import ceil

from medarts_ops.config import EvaluateConfig
from medarts_ops.data.dataset import ImageDataset, LabelledImages
from medarts_ops.data.proxy import sample_indices, stratified_split
from medarts_ops.errors import DataError
from medarts_ops.observers import DatasetSummary
from medarts_ops.quantities import counted
from medarts_ops.seeds import Stream, random_generator

FEW_STEPS = 200
"""A network of its usual size hardly learns anything in fewer (ours, roughly)."""


def evaluation_images(dataset: ImageDataset, config: EvaluateConfig) -> LabelledImages:
    """All training images, or as many as `config.images` says, drawn as a search draws D_sample; to validate, too.

    With equal seeds, fewer images are a subset of more.

    Raises:
        DataError: a class has too few for them, or they give a class fewer than two.
    """
    if config.images is None:
        return dataset.train
    order = random_generator(config.seed, 0, 0, Stream.SAMPLE)
    labels, sampling = dataset.train.labels, config.dataset.sampling
    return dataset.train.take(sample_indices(labels, config.images, sampling, order, dataset.class_names))


def with_validation(dataset: ImageDataset, config: EvaluateConfig) -> tuple[LabelledImages, LabelledImages | None]:
    """The images to train on, and those of them that `validation_share` holds back, by class; None where it is 0.

    Each class keeps an image to train on, and one that has two or more validates with one at least.

    Raises:
        DataError: as for `evaluation_images`, or no class has two images.
    """
    images = evaluation_images(dataset, config)
    if not config.validation_share:
        return images, None
    order = random_generator(config.seed, 0, 0, Stream.VALIDATION)
    rest, held_back = stratified_split(images.labels, config.validation_share, order)
    if not held_back.size:
        raise DataError(
            f"validation_share is {config.validation_share:g} and no class has two training images: there is nothing "
            "to hold back; set validation_share=0 or add images"
        )
    return images.take(rest), images.take(held_back)


def training_images(config: EvaluateConfig, dataset: DatasetSummary) -> int:
    """On how many images an evaluation trains, those that it validates with among them.

    What classes can't share equally of `config.images` is left out.
    """
    if config.images is None:
        return dataset.n_train
    left_out = config.images % len(dataset.class_names) if config.dataset.sampling == "balanced" else 0
    return config.images - left_out


def images_of_epoch(config: EvaluateConfig, dataset: DatasetSummary) -> tuple[int, int]:
    """How many images an epoch trains on, and is measured by: to an image a class, where some are held back."""
    images, n_classes = training_images(config, dataset), len(dataset.class_names)
    if not config.validation_share:
        return images, dataset.n_test
    held_back = min(max(n_classes, round(config.validation_share * images)), images - n_classes)
    return images - held_back, held_back


def few_steps_warning(config: EvaluateConfig, dataset: DatasetSummary) -> str | None:
    """What to change of a training of so few steps that hardly any network learns from them."""
    an_epoch = ceil(images_of_epoch(config, dataset)[0] / config.batch)
    steps = an_epoch * config.epochs
    if steps >= FEW_STEPS:
        return None
    return (
        f"{counted(steps, 'step')} in all, {an_epoch} an epoch, hardly train a network of {config.cells} cells: take a "
        "smaller batch or more epochs, or a smaller network (cells, channels), to which a budget gives more epochs"
    )
