"""The report of a search: one value with all that there is to say, and the page of HTML that says it."""
