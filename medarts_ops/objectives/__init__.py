"""What better means: each objective is a name and a measure of a trained individual, registered in `registry.py`."""
