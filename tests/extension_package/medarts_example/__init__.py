"""Parts of one's own for medarts: an objective, a dataset and an executor."""
