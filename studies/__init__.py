"""Studies: from data to results/*.json and the page in docs/ that is made from it."""
