"""Chips that are not perfect: which code in windows stands late, lost and coarse, and how much of it."""
