"""How α is improved within one individual, and what it says: a strategy is one file and one line in `registry.py`."""
