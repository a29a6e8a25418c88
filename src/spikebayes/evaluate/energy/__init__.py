"""What a prediction costs: its work counted, priced by devices' figures, and metered."""
