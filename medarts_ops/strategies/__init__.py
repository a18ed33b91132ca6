"""How α is improved within one individual: each strategy is one file and one line in `registry.py`."""
