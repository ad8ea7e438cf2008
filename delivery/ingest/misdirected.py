"""Requests of Mattermost servers whose Push Notification Server setting is mistyped: answered with its right form.

Mattermost puts `/api/v1/send_push` or `/api/v1/ack` behind whatever stands in the setting, so that a key without `/t/`,
a whole endpoint, or a key in the query makes an address that nothing serves; and of any status but 200 its log has the
number alone. Invariant: nothing is delivered here, and no text of the address is repeated in an answer or a log.
"""

import re
from typing import Final

from django.conf import settings
from django.http import HttpResponse

from delivery.ingest.api import SendPush
from delivery.ingest.lean_request import LeanRequest
from delivery.ingest.outbox import Outbox
from tenants.authentication import KEY_PATH_PREFIX, KeyAuthentication
from tenants.network import TrustedProxies
from tenants.refusals import CallerRejected, WrongAddress

# How the target of such a request ends; nothing that people look at does.
_ENDS: Final = (b"/send_push", b"/ack")
# Anything in the target that begins as a key does. A key whose characters are escaped is nobody's here.
_KEY: Final = re.compile(r"hk_[0-9A-Za-z]{8}_[0-9A-Za-z]{32}|hk_[0-9A-Za-z]{8}(?:_[0-9A-Za-z]{0,64})?")


def is_misdirected(method: str, target: bytes) -> bool:
    """Whether a request that goes to no endpoint was meant for one; `target` as in the request line."""
    return method == "POST" and target.partition(b"#")[0].endswith(_ENDS)


class Misdirected(SendPush):
    """The view of such requests: each is answered for its head alone, and is its customer's if it bears a key."""

    def __init__(self, outbox: Outbox, proxies: TrustedProxies) -> None:
        super().__init__(outbox, proxies)
        self._authentication = KeyAuthentication()

    def judge_head(self, request: LeanRequest) -> HttpResponse:
        """The refusal."""
        found = _KEY.search(request.scope.target.decode("latin-1"))
        whose = self._authentication.named(found[0]) if found else None
        base = settings.PUBLIC_URL.rstrip("/")
        form = {"form": f"{base}{KEY_PATH_PREFIX}KEY"} if base else {}
        return self.error_response(WrongAddress(whose, **form), request)

    def log_rejection(self, error: CallerRejected, request: LeanRequest) -> str:
        """As of a push at its own endpoint; of an ack nothing is kept."""
        is_push = request.scope.target.partition(b"#")[0].endswith(b"/send_push")
        return super().log_rejection(error, request) if is_push else ""
