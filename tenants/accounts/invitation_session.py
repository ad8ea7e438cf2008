"""The invitation that somebody has opened and not accepted yet, kept in the session while they log in or sign up.

The session holds the token's digest, not the token: whoever reads it cannot make the link of it.
"""

from typing import Final

from django.http import HttpRequest

from tenants import people
from tenants.models import Invitation

KEY: Final = "invitation"


def remember(request: HttpRequest, invitation: Invitation) -> None:
    """Keep an invitation for later pages of this session."""
    request.session[KEY] = bytes(invitation.digest).hex()


def forget(request: HttpRequest) -> None:
    """Keep none any more."""
    request.session.pop(KEY, None)


def opened(request: HttpRequest) -> Invitation | None:
    """The invitation of this session, in whatever state it is."""
    digest = request.session.get(KEY)
    return people.invitation(bytes.fromhex(digest)) if digest else None


def invited(request: HttpRequest) -> Invitation | None:
    """The invitation of this session, if it can be accepted still."""
    found = opened(request)
    return found if found is not None and people.is_open(found) else None
