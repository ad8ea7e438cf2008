"""What providers say of credentials, for pages: `{% load credentials %}`."""

from django import template

from delivery import preflight
from tenants.models import Credential

register = template.Library()


@register.filter
def said(credential: Credential, code: str) -> preflight.Said:
    """What a code that was kept of a credential means, as `kind` and `words`."""
    return preflight.said(credential, code)
