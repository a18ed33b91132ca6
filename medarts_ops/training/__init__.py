"""Training on one device: the runtime, bilevel training of individuals, supervised training of a genotype."""
