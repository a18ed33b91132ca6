"""The settings of an experiment's evaluations at its scale: the paper's, or some that end within minutes."""

from __future__ import annotations

from typing import NamedTuple

from medarts_ops.config import EvaluateConfig
from medarts_ops.configs.layers import Layer
from medarts_ops.configs.loader import Request, resolve_evaluate
from medarts_ops.configs.seed_list import check_no_seed_is_set
from medarts_ops.experiment import ExperimentKind, Scale
from medarts_ops.experiments.scales import paper_settings, small_settings
from medarts_ops.published import table_of


class Scaled(NamedTuple):
    """An evaluation's settings, and the scale that they are of."""

    config: EvaluateConfig
    scale: Scale


def at_scale(request: Request, kind: ExperimentKind, scale: Scale | None) -> Scaled:
    """The evaluation that `request` asks for at a scale, whose settings lie below those of a file, options and --set.

    Without a scale it is the paper's where the paper has results on the dataset, and small on others. At the small one
    the images are read: its sizes depend on theirs.

    Raises:
        MedartsError: as `resolve_evaluate`, a seed among the settings, or for whatever is wrong with the data.
    """
    asked = resolve_evaluate(request)
    check_no_seed_is_set(asked.changed_by)
    dataset = asked.config.dataset
    scale = scale or ("small" if table_of(dataset.name) is None else "paper")
    if scale == "small":
        from medarts_ops.data.registry import load_dataset

        images = load_dataset(dataset).train.images
        settings = small_settings(kind, len(images), min(images.shape[1:3]))
    else:
        settings = paper_settings(kind)
    layer = Layer(f"scale {scale}", settings)
    return Scaled(resolve_evaluate(request._replace(below=(*request.below, layer))).config, scale)
