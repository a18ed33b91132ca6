"""α read back from its artifact, the inverse of `alpha_json`: what shows that the artifact says all of it."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict

from medarts_ops.alpha import Alpha, CellAlpha
from medarts_ops.errors import ConfigError, RunError
from medarts_ops.space.search_space import N_INPUTS, SearchSpace
from medarts_ops.tracking import vocabulary
from medarts_ops.tracking.artifacts.files import unversioned
from medarts_ops.tracking.artifacts.shapes import reason_of
from medarts_ops.value import Value


class _CellFile(Value):
    """One cell of α as `alpha_json` writes it; beside its axes stand the arrays."""

    model_config = ConfigDict(extra="allow")

    edges: tuple[tuple[int, int], ...]
    operations: tuple[str, ...]


class _AlphaFile(Value):
    normal: _CellFile
    reduce: _CellFile


def read_alpha(data: Any, space: SearchSpace | None = None) -> Alpha:
    """The inverse of `alpha_json`.

    Args:
        data: the artifact's JSON.
        space: the space that α must be of; None takes the one that the artifact itself describes.

    Raises:
        RunError: not that shape, of a newer version, an unknown operation, edges that no cell has, numbers that are
            not finite or do not fit the edges and operations, or α of another space.
    """
    data = unversioned(data, vocabulary.ALPHA)
    try:
        cells = _AlphaFile.model_validate(data)
        expected = _described_space(cells.normal) if space is None else space
        return Alpha(normal=_cell_of(cells.normal, expected), reduce=_cell_of(cells.reduce, expected))
    except (ValueError, ConfigError) as error:
        raise RunError(
            f"this is no {vocabulary.ALPHA}: {reason_of(error)}; allowed are 'normal' and 'reduce' of one search space"
        ) from error


def _described_space(cell: _CellFile) -> SearchSpace:
    last_node = cell.edges[-1][1] if cell.edges else N_INPUTS - 1
    return SearchSpace(n_nodes=last_node - N_INPUTS + 1, primitives=cell.operations)


def _cell_of(cell: _CellFile, space: SearchSpace) -> CellAlpha:
    if cell.edges != space.edges or cell.operations != space.primitives:
        raise ValueError(
            f"{len(cell.edges)} edges of {len(cell.operations)} operations are not the space's {space.n_edges} of "
            f"{space.n_primitives}, in its order"
        )
    for name, rows in (cell.model_extra or {}).items():
        if isinstance(rows, list) and len(rows) != space.n_edges:
            raise ValueError(f"{name} has {len(rows)} edges, allowed are the space's {space.n_edges}")
    found = CellAlpha.model_validate(cell.model_extra)
    by_operation = {"op_logits": found.arrays.get("op_logits"), "mask": found.mask}
    for name, array in by_operation.items():
        if array is not None and array.shape != (space.n_edges, space.n_primitives):
            allowed = [space.n_edges, space.n_primitives]
            raise ValueError(f"{name} is {list(array.shape)}, allowed is {allowed} [edge, op]")
    return found
