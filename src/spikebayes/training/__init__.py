"""Training permanent-dropout networks whose rate curve becomes the one that spiking neurons have."""
