"""Where training tasks run: in this process, or in worker processes; one protocol."""
