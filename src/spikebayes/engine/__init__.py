"""Engines: one contract (``contract.py``), the specification (``reference.py``) and faster ones that equal it."""
