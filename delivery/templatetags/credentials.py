"""Template filters for credentials: `{% load credentials %}`."""

from django import template

from delivery.worker import credential_check
from tenants.models import Credential

register = template.Library()


@register.filter
def status_of(credential: Credential, code: str) -> credential_check.CredentialStatus:
    """What a code that was kept of a credential means, as `kind` and `description`."""
    return credential_check.status_of(credential, code)
