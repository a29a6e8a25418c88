"""Data sets that several studies are about."""

from __future__ import annotations

#: those of the UCI benchmark that come with this project's data
UCI_SETS = (
    "bostonHousing",
    "energy",
    "kin8nm",
    "naval-propulsion-plant",
    "protein-tertiary-structure",
    "wine-quality-red",
    "yacht",
)
