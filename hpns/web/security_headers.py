"""Security headers of pages (Content-Security-Policy, Permissions-Policy): nothing inline or foreign, no frames."""

from typing import Final

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.deprecation import MiddlewareMixin

POLICY: Final = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
# Not in it: the clipboard (the copy buttons write to it) and security keys, which the pages themselves use.
PERMISSIONS: Final = ", ".join(
    f"{feature}=()" for feature in ("camera", "display-capture", "geolocation", "microphone", "payment", "usb")
)


class PageHeaders(MiddlewareMixin):
    """Middleware that adds these headers, unless the view has set its own. Django's SecurityMiddleware sets
    Referrer-Policy."""

    def process_response(self, _request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """The response with the headers."""
        response.headers.setdefault("Content-Security-Policy", POLICY)
        response.headers.setdefault("Permissions-Policy", PERMISSIONS)
        # Whose page it is may stand in it, and no view has to think of that. Static files say for how long.
        response.headers.setdefault("Cache-Control", "no-store, private")
        return response
