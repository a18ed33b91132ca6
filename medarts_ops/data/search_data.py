"""All images of a search, drawn and approximated before anything is trained or stored."""

from __future__ import annotations

from dataclasses import dataclass

from medarts_ops.config import SearchConfig
from medarts_ops.data.proxy import channel_statistics, limit_of_shares, search_images
from medarts_ops.data.registry import load_dataset
from medarts_ops.data.stage_data import StageData, prepare_derived_data, prepare_stage_data
from medarts_ops.observers import DatasetSummary


@dataclass(frozen=True, eq=False)
class SearchData:
    """The dataset in words, and one `StageData` per stage. The test set is not in here: a search never sees it.

    `derived` are the images of genotypes' short trainings, where an objective asks for those.
    """

    summary: DatasetSummary
    stages: tuple[StageData, ...]
    derived: StageData | None = None


def prepare_search_data(config: SearchConfig) -> SearchData:
    """Load the dataset, bring it to the search's resolution (D_low) and draw every stage's sample (D_sample).

    Whatever is wrong with the data, in any stage, is a ConfigError or DataError.
    """
    dataset = load_dataset(config.dataset)
    train = search_images(dataset.train, config.dataset)
    statistics = channel_statistics(train.images)
    stages = tuple(prepare_stage_data(train, dataset.class_names, stage, config, statistics) for stage in config.stages)
    derived = None
    if config.trains_genotypes:
        derived = prepare_derived_data(train, dataset.class_names, config, statistics)
    height, width = train.images.shape[1:3]
    summary = dataset.summary((height, width))
    if any(isinstance(stage.images, float) for stage in config.stages):
        limit = limit_of_shares(train.labels, config.dataset.sampling, dataset.class_names)
        summary = summary.model_copy(update={"remarks": (*summary.remarks, *limit)})
    return SearchData(summary=summary, stages=stages, derived=derived)
