"""Parts of one's own for medarts: an objective, a strategy, a dataset and an executor."""
