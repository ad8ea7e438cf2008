"""Template filters for credentials: `{% load credentials %}`."""

from django import template

from delivery.insight import refusing
from delivery.worker import credential_check
from tenants.models import Credential

register = template.Library()


@register.filter
def of_incident(credential: Credential) -> bool:
    """Whether it is refused as those of many customers are at once, so that nothing is to be done about it."""
    return refusing.of_credential(credential, credential.app.family) is not None


@register.filter
def status_of(credential: Credential, code: str) -> credential_check.CredentialStatus:
    """What a code that was kept of a credential means, as `kind` and `description`."""
    return credential_check.status_of(credential, code)
