"""Sharpening: ordinary networks trained into one-step spiking ones (Sandia 2017; Whetstone), and given a posterior.

``settings.py`` has the networks, ``images.py`` their data, ``learning.py`` trains, ``judging.py`` and
``posterior.py`` measure, ``command.py`` puts them in order, with ``page.py`` and ``figures.py`` for the reader.
"""
