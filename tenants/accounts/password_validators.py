"""Password validators beside Django's: length, and what repeats itself.

https://docs.djangoproject.com/en/5.2/topics/auth/passwords/#writing-your-own-validator
"""

from django.contrib.auth.base_user import AbstractBaseUser
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
    """Refuses passwords of few different characters, and repetitions of a shorter one ("passwordpassword")."""

    def validate(self, password: str, user: AbstractBaseUser | None = None) -> None:
        """Raises ValidationError."""
        text = password.lower()
        if len(set(text)) < DIFFERENT_MIN:
            raise ValidationError("This password has too few different characters.", "too_few_characters")
        if _piece(text) != text:
            raise ValidationError("This password only repeats a shorter one: it is guessed as quickly.", "repeated")

    def get_help_text(self) -> str:
        """For a form."""
        return "Your password must not repeat a shorter one."


def _piece(text: str) -> str:
    """The shortest piece that a text is a repetition of; the text itself when it is none."""
    return text[: (text + text).find(text, 1)]
