"""The command line, runs kept in folders, the demo, and the report."""
