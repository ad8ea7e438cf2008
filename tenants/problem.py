"""ProblemError, the validation error that is shown to a person in one sentence, and other errors in one line."""


class ProblemError(Exception):
    """The change was not made. The text is one sentence that says why and what to do; it never holds a secret.

    `field`: what of the given it is about, where that is plain; "" otherwise.
    """

    def __init__(self, text: str, *, field: str = "") -> None:
        super().__init__(text)
        self.field = field

    @property
    def sentence(self) -> str:
        """The text as it stands on a page: with a capital, and an end."""
        text = str(self)
        return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '?')) else '.'}"


def first_line(error: Exception) -> str:
    """Return the first line of an error's text, or its type where it has none: drivers append hints and statements."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
