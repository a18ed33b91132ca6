"""Genotypes compared edge by edge."""

from __future__ import annotations

from factories import make_genotype

from medarts_ops.space.differences import EdgeDifference, genotype_differences
from medarts_ops.space.genotype import Genotype


def genotype(first: tuple[tuple[str, int], ...], concat: tuple[int, ...] = (2, 3)) -> Genotype:
    rest = (("skip_connect", 0), ("skip_connect", 1))
    return Genotype(normal=(*first, *rest), normal_concat=concat, reduce=(*rest, *rest), reduce_concat=(2, 3))


def test_equal_genotypes_have_no_difference_whatever_the_order_of_a_nodes_edges() -> None:
    one = genotype((("sep_conv_3x3", 0), ("max_pool_3x3", 1)))
    other = genotype((("max_pool_3x3", 1), ("sep_conv_3x3", 0)))
    assert genotype_differences([one, other, one]) == ((), 8, {})


def test_another_operation_on_an_edge_is_told_with_cell_node_and_input() -> None:
    one = genotype((("sep_conv_3x3", 0), ("max_pool_3x3", 1)))
    other = genotype((("sep_conv_5x5", 0), ("max_pool_3x3", 1)))
    found = genotype_differences([one, other])
    assert found.edges == (EdgeDifference("normal", 2, 0, (("sep_conv_3x3",), ("sep_conv_5x5",))),)
    assert found.equal == 7


def test_another_input_differs_on_both_edges_and_two_operations_may_share_one() -> None:
    one = genotype((("sep_conv_3x3", 0), ("max_pool_3x3", 1)))
    other = genotype((("sep_conv_3x3", 0), ("max_pool_3x3", 0)))
    found = genotype_differences([one, other])
    assert [(edge.source, edge.operations) for edge in found.edges] == [
        (0, (("sep_conv_3x3",), ("max_pool_3x3", "sep_conv_3x3"))),
        (1, (("max_pool_3x3",), ())),
    ]
    assert found.equal == 6


def test_cells_of_other_sizes_and_other_outputs_are_compared() -> None:
    found = genotype_differences([make_genotype(nodes=1), make_genotype(nodes=2)])
    assert [(edge.cell, edge.node) for edge in found.edges] == [
        ("normal", 3), ("normal", 3), ("reduce", 3), ("reduce", 3)
    ]  # fmt: skip
    assert (found.equal, found.concats["normal"]) == (4, ((2,), (2, 3)))
    pair = (("sep_conv_3x3", 0), ("max_pool_3x3", 1))
    assert genotype_differences([genotype(pair), genotype(pair, (3,))]).concats == {"normal": ((2, 3), (3,))}
