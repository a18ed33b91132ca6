"""Values out of a store: jobs, runs, comparisons, reports, networks, links."""
