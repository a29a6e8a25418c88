"""Spiking networks: their vocabulary, the conversion of torch modules into them, and their files."""
