"""Models that nobody here wrote, with random weights: what becomes of each under some codes, and what it takes."""
