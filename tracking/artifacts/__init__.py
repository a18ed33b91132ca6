"""The JSON of a run's artifacts: its shapes, and reading within limits what others may have written."""
