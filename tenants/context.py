"""What the templates of customers' pages know without each view saying it: whose page it is, and what one may do."""

from typing import Any

from django.http import HttpRequest

from tenants.pages import CustomerRequest


class May:
    """`may.server_change` in a template is request.may("server.change")."""

    def __init__(self, request: CustomerRequest) -> None:
        self._request = request

    def __getitem__(self, name: str) -> bool:
        """Whether the action of this name is allowed. Raises KeyError for one that is in no table."""
        return self._request.may(name.replace("_", ".", 1))


def page(request: HttpRequest) -> dict[str, Any]:
    """Django's context processor; nothing for a page that is no customer's."""
    if not hasattr(request, "customer"):
        return {}
    asked: CustomerRequest = request  # type: ignore[assignment]  # the door has made it one
    return {
        "customer": asked.customer,
        "may": May(asked),
        "looking_as_staff": getattr(asked, "looking_as_staff", False),
    }
