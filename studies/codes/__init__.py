"""Any trained network in windows of ticks: how exact each code is, what it costs, and what the chip must be like."""
