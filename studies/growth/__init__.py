"""The original's task, percent growth under drug pairs, run end to end on files in its own format."""
