"""Password validators beside Django's: length, and what repeats itself.

https://docs.djangoproject.com/en/5.2/topics/auth/passwords/#writing-your-own-validator
"""

import functools

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.password_validation import CommonPasswordValidator
from django.core.exceptions import ValidationError

# Characters; hashing takes as long as a password is long.
LENGTH_MAX = 128
# Characters that a password has at least, each counted once.
DIFFERENT_MIN = 5


class MaximumLengthValidator:
    """Refuses passwords that are longer than LENGTH_MAX."""

    def validate(self, password: str, user: AbstractBaseUser | None = None) -> None:
        """Raises ValidationError."""
        if len(password) > LENGTH_MAX:
            raise ValidationError(f"This password is too long: {LENGTH_MAX} characters are the most.", "too_long")

    def get_help_text(self) -> str:
        """For a form."""
        return f"Your password can have {LENGTH_MAX} characters at most."


class RepetitionValidator:
    """Refuses passwords of few different characters, repetitions of a shorter one ("passwordpassword"), also where
    something else than letters stands between ("password1-password2"), and common ones with such added."""

    def __init__(self) -> None:
        """Reads Django's list of common passwords, once a process."""
        self._common = _common()

    def validate(self, password: str, user: AbstractBaseUser | None = None) -> None:
        """Raises ValidationError."""
        text = password.lower()
        if len(set(text)) < DIFFERENT_MIN:
            raise ValidationError("This password has too few different characters.", "too_few_characters")
        letters = "".join(filter(str.isalpha, text))
        # Where letters are the smaller part, as in what a program has drawn, they may be alike by chance.
        mostly = len(letters) * 2 >= len(text)
        if _piece(text) != text or (mostly and _piece(letters) != letters):
            raise ValidationError("This password only repeats a shorter one: it is guessed as quickly.", "repeated")
        if mostly and letters in self._common:
            message = "This password is a common one with a little added: it is guessed as quickly."
            raise ValidationError(message, "common")

    def get_help_text(self) -> str:
        """For a form."""
        return "Your password must not repeat a shorter one."


@functools.cache
def _common() -> set[str]:
    found: set[str] = CommonPasswordValidator().passwords
    return found


def _piece(text: str) -> str:
    """The shortest piece that a text is a repetition of; the text itself when it is none."""
    return text[: (text + text).find(text, 1)]
