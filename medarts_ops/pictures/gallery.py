"""Which pictures there are of an individual, a stage, a search, an evaluation; each is drawn when it is called."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import cache

from medarts_ops.alpha import Alpha, Mixtures
from medarts_ops.errors import MedartsError
from medarts_ops.individual import EvaluationResult, SearchResult, StageResult, TrainedIndividual, Yardstick
from medarts_ops.pictures.alpha_epochs import alpha_epochs_figure
from medarts_ops.pictures.alphas import alpha_figure, edge_weights
from medarts_ops.pictures.cells import EdgeWeights, genotype_figure
from medarts_ops.pictures.classes import confusion_figure, mistakes_figure
from medarts_ops.pictures.curves import evaluation_curves, search_curves
from medarts_ops.pictures.figures import Draw
from medarts_ops.pictures.fronts import front_figure
from medarts_ops.pictures.lineage import lineage_figure
from medarts_ops.pictures.parameters import EvaluatedSize, parameters_figure
from medarts_ops.published import table_of
from medarts_ops.space.search_space import SearchSpace

Reader = Callable[[Sequence[Alpha]], Sequence[Mixtures]]
"""What each α says, as the individual's strategy reads it."""


def pictures_of_individual(
    trained: TrainedIndividual,
    epoch_alphas: Sequence[Alpha],
    space: SearchSpace,
    read: Reader,
    yardstick: Yardstick | None = None,
) -> dict[str, Draw]:
    """Cells, α and training; how α moved where `epoch_alphas` holds it after every epoch.

    `yardstick` is its stage's.

    `read` is called when a picture is drawn: it needs the strategy, which may not be installed here. Then the cells'
    edges are all of one width.
    """
    name, born = trained.individual.id, trained.individual.alpha

    @cache
    def mixtures() -> Mixtures:
        return read([trained.alpha])[0]

    def weights() -> EdgeWeights | None:
        try:
            return edge_weights(mixtures(), trained.genotype, space)
        except MedartsError:  # no such strategy here, or an α that it can't read: cells are worth seeing all the same
            return None

    pictures: dict[str, Draw] = {
        "genotype": lambda: genotype_figure(trained.genotype, name, weights()),
        "alpha": lambda: alpha_figure(mixtures(), trained.genotype, space, name),
        "training": lambda: search_curves(trained.history, name, yardstick),
    }
    if epoch_alphas and len(epoch_alphas) == len(trained.history):
        pictures["alpha-epochs"] = lambda: alpha_epochs_figure(read([born, *epoch_alphas]), space, name)
    return pictures


def pictures_of_stage(stage: StageResult, search: str, chosen: Collection[str]) -> dict[str, Draw]:
    """Front and the best one's cells; `chosen` are ids of those that go on. None where nobody was ranked."""
    if not stage.ranked:
        return {}
    best = stage.best
    return {
        "front": lambda: front_figure(stage, search, chosen),
        "genotype": lambda: genotype_figure(best.trained.genotype, f"{best.id}, the best of its stage"),
    }


def pictures_of_search(result: SearchResult) -> dict[str, Draw]:
    """The family tree and the cells that were found."""
    best = result.best
    return {
        "lineage": lambda: lineage_figure(result),
        "genotype": lambda: genotype_figure(best.trained.genotype, f"{best.id} of {result.search_id}"),
    }


def pictures_of_evaluation(result: EvaluationResult, name: str) -> dict[str, Draw]:
    """Cells, training, and where it is known what is taken for what, with the surest mistakes.

    Error against size is `pictures_of_sizes`, since it takes other evaluations.
    """
    pictures: dict[str, Draw] = {
        "genotype": lambda: genotype_figure(result.genotype, name),
        "training": lambda: evaluation_curves(result.history, name, result.chosen_epoch),
    }
    classes = result.classes
    if classes is not None:
        pictures["confusion"] = lambda: confusion_figure(classes, name)
        if any(mistake.png is not None for mistake in classes.mistakes):
            pictures["mistakes"] = lambda: mistakes_figure(classes, name)
    return pictures


def pictures_of_sizes(sizes: Sequence[EvaluatedSize], dataset: str) -> dict[str, Draw]:
    """Error against size of evaluations on the same images, beside Table III where that has them.

    None where all lie on one point that nothing stands beside: it says nothing. A size or an error that is not known,
    or not finite, was left out by the caller.
    """
    table = table_of(dataset)
    if table is None and len({(one.parameters, one.test_error) for one in sizes}) < 2:
        return {}
    return {"parameters": lambda: parameters_figure(sizes, dataset, table)}
