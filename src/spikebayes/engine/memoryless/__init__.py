"""The engine of networks without memory, in which a step is a sample."""
