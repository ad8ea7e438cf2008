"""ProblemError, an error that a person at the terminal can mend: one line with what is wrong and what to do."""


class ProblemError(Exception):
    """Ends a command with its text as the only output and exit code 1. The text never carries a secret."""
