"""Client address of a Django request."""

import ipaddress

from django.http import HttpRequest


def client_address(request: HttpRequest) -> str | None:
    """The network address of whoever sent this request; None where there is none, as behind a local socket."""
    try:
        return str(ipaddress.ip_address(request.META.get("REMOTE_ADDR", "").strip("[]")))
    except ValueError:
        return None
