"""The images that an evaluation trains on: all, or a D_sample of them (paper IV.D)."""

from __future__ import annotations

from medarts_ops.config import EvaluateConfig
from medarts_ops.data.dataset import ImageDataset, LabelledImages
from medarts_ops.data.proxy import sample_indices
from medarts_ops.observers import DatasetSummary
from medarts_ops.seeds import Stream, random_generator


def evaluation_images(dataset: ImageDataset, config: EvaluateConfig) -> LabelledImages:
    """All training images, or as many as `config.images` says, drawn as a search draws D_sample.

    With equal seeds, fewer images are a subset of more.

    Raises:
        DataError: a class has too few for them, or they give a class fewer than two.
    """
    if config.images is None:
        return dataset.train
    order = random_generator(config.seed, 0, 0, Stream.SAMPLE)
    labels, sampling = dataset.train.labels, config.dataset.sampling
    return dataset.train.take(sample_indices(labels, config.images, sampling, order, dataset.class_names))


def training_images(config: EvaluateConfig, dataset: DatasetSummary) -> int:
    """On how many images an evaluation trains: what classes can't share equally of `config.images` is left out."""
    if config.images is None:
        return dataset.n_train
    left_out = config.images % len(dataset.class_names) if config.dataset.sampling == "balanced" else 0
    return config.images - left_out
