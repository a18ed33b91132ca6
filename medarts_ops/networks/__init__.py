"""Torch modules: operations, the supernet, the derived (evaluation) network, and counting."""
