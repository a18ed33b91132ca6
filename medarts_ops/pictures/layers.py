"""Where the parts of a cell's graph stand: layers from left to right, a lane for each line that passes a layer.

A layered layout (Sugiyama, Tagawa and Toda 1981): states stand in the column of their depth, lines that go past a
column get a place of their own in it, columns are ordered by barycentres, heights follow the neighbours. Everything has
its own room, so no label lies on another and no line runs through a label.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medarts_ops.space.genotype import EDGES_PER_NODE, CellKind, Genotype
from medarts_ops.space.search_space import N_INPUTS

SWEEPS = 12
NODE_HEIGHT = 0.74
INPUT_HEIGHT = 0.42
LANE_HEIGHT = 0.1
GAP = 0.14


@dataclass(frozen=True)
class Item:
    """What stands in a column: a state of the cell (its output is the last), or a lane that a state's line takes."""

    state: int
    column: int
    lane: bool


@dataclass(frozen=True)
class Link:
    """A line from one column to the next. `edge` is the genotype's pair that it ends in, None for a lane or output."""

    source: Item
    target: Item
    edge: int | None


@dataclass(frozen=True)
class CellLayout:
    """Items column by column, from top to bottom, with their heights' middle (inches, upwards), and all lines."""

    columns: tuple[tuple[Item, ...], ...]
    heights: dict[Item, float]
    links: tuple[Link, ...]
    carries: frozenset[Link]
    """The links that lead to an operation, others lead to the output only."""


def lay_out(genotype: Genotype, cell: CellKind) -> CellLayout:
    """The layers of one cell."""
    columns, links = _columns_and_links(genotype, cell)
    ordered = _ordered(columns, links)
    carries = frozenset(_leading_to_operations(links))
    return CellLayout(tuple(map(tuple, ordered)), _heights(ordered, links), tuple(links), carries)


def item_height(item: Item, n_states: int) -> float:
    """The room that an item takes, in inches."""
    if item.lane:
        return LANE_HEIGHT
    return NODE_HEIGHT if N_INPUTS <= item.state < n_states else INPUT_HEIGHT


def _columns_and_links(genotype: Genotype, cell: CellKind) -> tuple[list[list[Item]], list[Link]]:
    edges = genotype.edges(cell)
    output = N_INPUTS + genotype.n_nodes(cell)
    depth = [0] * N_INPUTS
    for node in range(genotype.n_nodes(cell)):
        pairs = edges[EDGES_PER_NODE * node : EDGES_PER_NODE * (node + 1)]
        depth.append(1 + max(depth[source] for _, source in pairs))
    depth.append(1 + max(depth))
    uses: list[tuple[int, int, int | None]] = [
        (source, N_INPUTS + edge // EDGES_PER_NODE, edge) for edge, (_, source) in enumerate(edges)
    ]
    uses += [(source, output, None) for source in genotype.concat(cell)]

    columns: list[list[Item]] = [[] for _ in range(depth[output] + 1)]
    for state, column in enumerate(depth):
        columns[column].append(Item(state, column, lane=False))
    links = []
    for state in range(output):
        reach = max((depth[target] for source, target, _ in uses if source == state), default=depth[state])
        here = Item(state, depth[state], lane=False)
        for column in range(depth[state] + 1, reach + 1):
            links += [
                Link(here, Item(target, column, lane=False), edge)
                for source, target, edge in uses
                if source == state and depth[target] == column
            ]
            if column < reach:
                lane = Item(state, column, lane=True)
                columns[column].append(lane)
                links.append(Link(here, lane, None))
                here = lane
    return columns, links


def _leading_to_operations(links: Sequence[Link]) -> list[Link]:
    found = [link for link in links if link.edge is not None]
    wanted = {link.source for link in found}
    for link in sorted(links, key=lambda one: -one.target.column):
        if link.target.lane and link.target in wanted:
            found.append(link)
            wanted.add(link.source)
    return found


def _ordered(columns: list[list[Item]], links: Sequence[Link]) -> list[list[Item]]:
    """The order with the fewest crossings that sweeps in both directions meet."""
    best, order = columns, [list(column) for column in columns]
    fewest = _crossings(columns, links)
    for sweep in range(SWEEPS):
        forward = sweep % 2 == 0
        for column in order if forward else order[::-1]:
            places = {item: number for items in order for number, item in enumerate(items)}
            means = {item: _mean(places, item, _neighbours(item, links, forward, not forward)) for item in column}
            column.sort(key=means.__getitem__)
        crossings = _crossings(order, links)
        if crossings < fewest:
            fewest, best = crossings, [list(column) for column in order]
    return best


def _crossings(columns: Sequence[Sequence[Item]], links: Sequence[Link]) -> int:
    places = {item: number for column in columns for number, item in enumerate(column)}
    total = 0
    for column in range(len(columns) - 1):
        ends = [(places[one.source], places[one.target]) for one in links if one.source.column == column]
        total += sum((a - c) * (b - d) < 0 for i, (a, b) in enumerate(ends) for c, d in ends[:i])
    return total


def _neighbours(item: Item, links: Sequence[Link], before: bool = True, after: bool = True) -> list[Item]:
    found = [link.source for link in links if before and link.target == item]
    return found + [link.target for link in links if after and link.source == item]


def _mean(values: Mapping[Item, float], item: Item, neighbours: Sequence[Item]) -> float:
    """Of the neighbours' values; the item's where it has none."""
    return sum(values[one] for one in neighbours) / len(neighbours) if neighbours else values[item]


def _heights(columns: Sequence[Sequence[Item]], links: Sequence[Link]) -> dict[Item, float]:
    """Each item as near to its neighbours' mean as the room of its column allows, order kept."""
    n_states = columns[-1][0].state
    heights = {item: -float(number) for column in columns for number, item in enumerate(column)}
    near = {item: _neighbours(item, links) for item in heights}
    for sweep in range(SWEEPS):
        for column in columns if sweep % 2 == 0 else columns[::-1]:
            wanted = [_mean(heights, item, near[item]) for item in column]
            sizes = [item_height(item, n_states) + GAP for item in column]
            heights.update(zip(column, _apart(wanted, sizes), strict=True))
    return heights


def _apart(wanted: Sequence[float], sizes: Sequence[float]) -> list[float]:
    """The falling heights nearest to the wanted ones with room for every size (pool adjacent violators)."""
    offsets, below = [], 0.0
    for number, size in enumerate(sizes):
        below += size / 2 + (sizes[number - 1] / 2 if number else -size / 2)
        offsets.append(below)
    pools: list[tuple[float, int]] = []
    for height, offset in zip(wanted, offsets, strict=True):
        mean, count = height + offset, 1
        while pools and pools[-1][0] < mean:
            other, others = pools.pop()
            mean, count = (mean * count + other * others) / (count + others), count + others
        pools.append((mean, count))
    levels = [mean for mean, count in pools for _ in range(count)]
    return [level - offset for level, offset in zip(levels, offsets, strict=True)]
