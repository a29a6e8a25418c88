"""Wycoff 2019 in full: the Combo network on drug pairs, its figures, and what it left as future work.

``learning.py`` trains, ``methods.py`` says how the network is simulated, ``protocols.py`` makes the paper's checks,
``search.py`` looks for fewer steps, ``parts.py`` takes the error apart, ``redraws.py`` redraws masks during a run,
and ``command.py`` puts them in order, with ``page.py`` and ``figures.py`` for the reader.
"""
