"""The report: one self-contained HTML page with the verdict, the figures behind it and how to repeat it."""
