"""The report of a search, or of an experiment: one value with all that there is to say, and the page that says it."""
