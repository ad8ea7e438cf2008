"""What providers say of credentials, for pages: `{% load credentials %}`."""

from django import template

from delivery.worker import credential_check
from tenants.models import Credential

register = template.Library()


@register.filter
def said(credential: Credential, code: str) -> credential_check.Said:
    """What a code that was kept of a credential means, as `kind` and `words`."""
    return credential_check.said(credential, code)
