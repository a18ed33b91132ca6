"""What an architecture is: operations, the search space, genotypes, and the way from α to a genotype."""

from medarts_ops.space.genotype import Genotype
from medarts_ops.space.search_space import PRIMITIVES, SearchSpace

__all__ = ["PRIMITIVES", "Genotype", "SearchSpace"]
