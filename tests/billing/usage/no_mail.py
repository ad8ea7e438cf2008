"""A mail server that cannot be reached."""

from typing import Any

from django.core.mail.backends.base import BaseEmailBackend


class Backend(BaseEmailBackend):
    """Takes nothing."""

    def send_messages(self, email_messages: Any) -> int:
        """Fail as a refused connection does."""
        raise ConnectionRefusedError
