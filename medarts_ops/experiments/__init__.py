"""Experiments: the paper's tables and figures, and sweeps, each planned, carried out and summed up over seeds."""
