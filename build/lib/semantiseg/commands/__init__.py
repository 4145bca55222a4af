"""The verbs of the command line, by subject. Each imports what it needs when it runs, so that help is immediate."""
