"""What becomes runs, metrics, artifacts, pictures and models."""
