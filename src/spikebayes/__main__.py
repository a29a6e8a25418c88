"""``python -m spikebayes``: the command line, of this very Python."""

from spikebayes.app.cli import entry

if __name__ == "__main__":
    entry()
