"""Images: the datasets, their approximation for the search, and what a training step draws from them."""
