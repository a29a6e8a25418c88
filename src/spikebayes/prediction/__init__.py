"""Samples of modules and of spiking networks, and the predictive distribution that they make up."""
