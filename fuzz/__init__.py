"""Inputs that nobody would think of, drawn by number: ``python -m fuzz`` (``make fuzz``).

Found is what must not be: an error that is not the library's own or longer than a line, a hang, or a result that is
silently another. Input i of a kind under a seed is always the same one, so a finding is run again by its number.
"""
