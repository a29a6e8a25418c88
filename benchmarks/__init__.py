"""Timings of simulators on equal networks."""
