"""The verbs of the command line, by subject. Each imports what it needs when it runs, so that help is immediate."""

from pathlib import Path

ROOT = Path(".")
"""Where verbs work: the folder in which they are called."""
