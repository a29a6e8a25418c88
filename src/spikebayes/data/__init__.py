"""Where data enters: tables and benchmark sets, checked once, here."""
