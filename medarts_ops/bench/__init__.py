"""Measurements, and the plain reference supernet that the fast one is held to."""
