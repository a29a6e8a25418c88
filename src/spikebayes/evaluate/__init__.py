"""Judging predictions: against another prediction, against the truth, and by the energy they cost."""
