"""What runs a network: one contract, the reference that specifies every step, and faster engines that equal it."""
