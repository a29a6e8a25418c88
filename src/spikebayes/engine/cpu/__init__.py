"""The engine of LIF networks on a CPU: tiles of neurons, compiled loops, vector instructions."""
