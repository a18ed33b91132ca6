"""What an architecture is: operations, the search space, genotypes, and the way from α to a genotype."""
