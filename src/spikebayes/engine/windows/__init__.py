"""Coded networks by matrix products: a window at once."""
