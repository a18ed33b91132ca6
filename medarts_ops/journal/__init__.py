"""The truth of a running search on disk: its folder and its append-only events."""
