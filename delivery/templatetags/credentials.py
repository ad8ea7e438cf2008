"""What providers say of credentials, for pages: `{% load credentials %}`."""

from django import template

from delivery.worker import credential_check
from tenants.models import Credential

register = template.Library()


@register.filter
def credential_status(credential: Credential, code: str) -> credential_check.CredentialStatus:
    """What a code that was kept of a credential means, as `kind` and `words`."""
    return credential_check.credential_status(credential, code)
