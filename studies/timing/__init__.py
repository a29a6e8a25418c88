"""How many steps a sample takes: with the burn-in that the filters need, and tuned for an error of 0.03."""
