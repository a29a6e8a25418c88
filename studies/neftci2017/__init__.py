"""Neftci 2017: networks of unreliable synapses on MNIST, the paper's table and figures, what their samples are worth.

``learning.py`` trains, ``sampling.py`` runs the networks, ``judging.py`` scores what they predict, ``hardware.py``
makes their weights worse, and ``command.py`` puts them in order, with ``page.py`` and ``figures.py`` for the reader.
"""
