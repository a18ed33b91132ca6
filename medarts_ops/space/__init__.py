"""What an architecture is: operations, the search space, genotypes, and the way from α to a genotype."""

from medarts_ops.space.discretize import discretize
from medarts_ops.space.formats import format_darts, parse_genotype, read_genotype, to_json
from medarts_ops.space.genotype import Genotype
from medarts_ops.space.search_space import PRIMITIVES, SearchSpace
from medarts_ops.space.zoo import ZooEntry, zoo_genotype

__all__ = [
    "PRIMITIVES",
    "Genotype",
    "SearchSpace",
    "ZooEntry",
    "discretize",
    "format_darts",
    "parse_genotype",
    "read_genotype",
    "to_json",
    "zoo_genotype",
]
