"""Whether a session has passed multi-factor authentication."""

from allauth.account.authentication import get_authentication_records
from django.http import HttpRequest


def mfa_passed(request: HttpRequest) -> bool:
    """Whether the person of this session has shown a second factor in this session."""
    return any(record.get("method") == "mfa" for record in get_authentication_records(request, request.user))
