"""How often the judge errs: two predictions with a known difference are judged many times, by the old rule too."""
