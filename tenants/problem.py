"""What goes wrong for a person: one sentence."""


class ProblemError(Exception):
    """The change was not made. The text is one sentence that says why and what to do; it never holds a secret."""
