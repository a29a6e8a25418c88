"""A trained run over HTTP, by the Open Inference Protocol."""
