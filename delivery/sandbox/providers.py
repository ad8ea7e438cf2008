"""Request routing of the sandbox: which provider a request is for, the response, and its journal entry.

Order: the checks are always made and noted; a script, if one speaks of the token, answers in their place; else the
checks' refusal; else what the token's marker stands for; else success. Invariant: every request that was read to its
end is in the journal exactly once, before its answer leaves.
"""

import msgspec

from delivery.sandbox import apns, behaviours, fcm
from delivery.sandbox.accounts import Accounts
from delivery.sandbox.answers import Answer, Scripts, reason_of
from delivery.sandbox.journal import Journal, Request
from delivery.sandbox.tokens import Bearers, ProviderTokens, issuer_of

JSON = "application/json; charset=UTF-8"
GOOGLE_HOSTS = ("fcm.googleapis.com", "oauth2.googleapis.com")


class Ready(msgspec.Struct):
    """An answer ready for the wire: its faults and delay, and the status, headers and body when it has any."""

    answer: Answer
    headers: list[tuple[str, str]]
    body: bytes


class Providers:
    """APNs, FCM and the token endpoint behind one port."""

    def __init__(self, accounts: Accounts, secret: bytes, journal: Journal) -> None:
        """secret: signs the bearers that the token endpoint gives."""
        self.accounts, self.journal, self.scripts = accounts, journal, Scripts()
        self.tokens = ProviderTokens(accounts)
        self._apns = apns.Apns(accounts, self.tokens)
        self._fcm = fcm.Fcm(accounts, Bearers(accounts, secret))

    @property
    def lenient_tokens(self) -> bool:
        """Whether device tokens of any form are taken."""
        return self._apns.lenient_tokens

    @lenient_tokens.setter
    def lenient_tokens(self, value: bool) -> None:
        self._apns.lenient_tokens = self._fcm.lenient_tokens = value

    def answer(self, request: Request) -> Ready:
        """What to say to a complete request; it is in the journal when this returns."""
        self.accounts.refresh()
        provider = provider_of(request)
        if provider == "apns":
            token = apns.token_of(request.path)
            refusal, row = self._apns.check(request, token), behaviours.of_apns(token)
            usual = row.apns if row else Answer()
        elif provider == "fcm":
            token = fcm.token_of(request.body)
            refusal, row = self._fcm.check(request, token), behaviours.of_fcm(token)
            usual = row.fcm if row else Answer()
        elif provider == "oauth":
            token, row, refusal = "oauth:" + issuer_of(request.body), None, None
            usual, why = self._fcm.grant(request)
            if usual.status != 200:
                refusal = usual, why
        else:
            token, row, usual = "", None, Answer(status=404)
            refusal = usual, "no provider has this path"
        scripted = self.scripts.next(token) if token else None
        if scripted is not None:
            chosen, by, why = scripted, "script", ""
        elif refusal is not None:
            (chosen, why), by = refusal, "checks"
        elif row is not None:
            chosen, by, why = usual, "token", row.what
        else:
            chosen, by, why = usual, "success", ""
        check = "" if refusal is None else f"{refusal[0].status} {reason_of(refusal[0].json)}: {refusal[1]}"
        ready = self._ready(provider, request, chosen, usual)
        kept = chosen if provider != "oauth" or chosen.status != 200 or scripted else Answer()
        self.journal.add(provider, token, request, kept, by=by, why=why, check=check)
        return ready

    def _ready(self, provider: str, request: Request, answer: Answer, usual: Answer) -> Ready:
        body = answer.content()
        headers = apns.reply_headers(request, answer) if provider == "apns" else []
        if body is None:
            body = b""
            if answer.status == 200 and provider == "fcm":
                body = fcm.success(request.path, request.body)
            elif answer.status == 200 and provider == "oauth" and usual.status == 200:
                body = usual.content() or b""
        if body and "content-type" not in answer.headers:
            headers.append(("content-type", "text/html" if body.startswith(b"<") else JSON))
        headers += answer.headers.items()
        return Ready(answer, headers, body)


def provider_of(request: Request) -> str:
    """apns, fcm, oauth, or "" for a path that none of them has (then the host decides who refuses it)."""
    path = request.path
    if path.startswith("/3/"):
        return "apns"
    if path.startswith("/v1/projects/"):
        return "fcm"
    if path.partition("?")[0] == fcm.TOKEN_PATH:
        return "oauth"
    host = request.host.partition(":")[0]
    if host.endswith("push.apple.com"):
        return "apns"
    return "fcm" if host in GOOGLE_HOSTS else ""
