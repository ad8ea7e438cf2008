"""Verdicts on transport errors, and on pushes that we refuse ourselves: the rows that no provider wrote.

Invariant: nothing here is answered with REMOVE, and a transport fault is retried only where it is sure that no complete
request reached the provider, or once where a repeat replaces the push on the phone. Codes are stable: customers and
monitors look for them.
"""

from typing import Final

from delivery.outcomes.transport import TransportFault
from delivery.outcomes.verdict import MAYBE, NOT_SENT, Attribution, Outcome, Retry, Verdict, WireState, failed

_WAIT = "nothing to do unless it lasts; the status page of the push service knows more"
_REPORT = "report it with the trace id if it lasts"


def _unsent(
    fault: TransportFault,
    cause: str,
    attribution: Attribution = "provider",
    fix: str = _WAIT,
    retry: Retry = Retry.SAFE,
) -> Verdict:
    return failed(f"transport_{fault}", cause, fix, attribution=attribution, retry=retry)


def _unanswered(fault: TransportFault, cause: str) -> Verdict:
    return failed(
        f"transport_{fault}_unanswered",
        f"{cause}, and the push may have been delivered",
        _WAIT,
        attribution="provider",
        outcome=Outcome.UNKNOWN,
        retry=Retry.ONCE,
    )


TRANSPORT: Final[dict[tuple[TransportFault, WireState], Verdict]] = {
    (TransportFault.DNS, NOT_SENT): _unsent(TransportFault.DNS, "the name of {host} could not be resolved", "ours"),
    (TransportFault.CONNECT, NOT_SENT): _unsent(TransportFault.CONNECT, "no connection to {host} could be opened"),
    (TransportFault.TLS, NOT_SENT): _unsent(
        TransportFault.TLS, "no encrypted connection to {host} could be agreed on ({detail})", "ours", _REPORT
    ),
    (TransportFault.PROXY, NOT_SENT): _unsent(
        TransportFault.PROXY, "the outgoing proxy opened no way to {host} ({detail})", "ours", _REPORT
    ),
    (TransportFault.TIMEOUT_CONNECT, NOT_SENT): _unsent(
        TransportFault.TIMEOUT_CONNECT, "no connection to {host} was ready in time"
    ),
    (TransportFault.TIMEOUT, MAYBE): _unanswered(TransportFault.TIMEOUT, "{host} did not answer in time"),
    (TransportFault.CLOSED, NOT_SENT): _unsent(
        TransportFault.CLOSED, "{host} closed the connection before the push was sent{remark}"
    ),
    (TransportFault.CLOSED, MAYBE): _unanswered(
        TransportFault.CLOSED, "{host} closed the connection without an answer{remark}"
    ),
    (TransportFault.RESET, NOT_SENT): _unsent(
        TransportFault.RESET, "{host} broke the connection off before the push was sent{remark}"
    ),
    (TransportFault.RESET, MAYBE): _unanswered(
        TransportFault.RESET, "{host} broke the request off without an answer{remark}"
    ),
    (TransportFault.REFUSED_STREAM, NOT_SENT): _unsent(
        TransportFault.REFUSED_STREAM, "{host} refused to take the push{remark}"
    ),
    (TransportFault.GOAWAY, NOT_SENT): _unsent(
        TransportFault.GOAWAY,
        "{host} ended the connection and did not take the push{remark}",
        retry=Retry.AT_ONCE,
    ),
    (TransportFault.PROTOCOL, NOT_SENT): _unsent(
        TransportFault.PROTOCOL, "{host} does not speak HTTP/2 as agreed", "provider", _REPORT
    ),
    (TransportFault.PROTOCOL, MAYBE): _unanswered(
        TransportFault.PROTOCOL, "{host} answered with something that is not HTTP/2"
    ),
    (TransportFault.STOPPED, NOT_SENT): failed(
        "transport_stopped",
        "the push service stopped before the push was sent",
        _WAIT,
        attribution="ours",
        retry=Retry.SAFE,
    ),
    (TransportFault.STOPPED, MAYBE): failed(
        "transport_stopped_unanswered",
        "the push service stopped before {host} answered, and the push may have been delivered",
        _WAIT,
        attribution="ours",
        outcome=Outcome.UNKNOWN,
        retry=Retry.ONCE,
    ),
    (TransportFault.CREDENTIAL, NOT_SENT): failed(
        "credential_unusable",
        "the credential of the app could not be used ({detail})",
        "check it on the app's page, or upload a new one",
        attribution="customer",
        outcome=Outcome.REFUSED,
        counts_in_sla=False,
        is_credential_fault=True,
        is_key_fault=True,
    ),
    (TransportFault.CLOCK, NOT_SENT): failed(
        "our_clock",
        "the clock of the push service is wrong ({detail})",
        "nothing to do at the server; whoever operates the push service has to set its clock",
        attribution="ours",
        level="error",
    ),
    (TransportFault.BAD_TOKEN, NOT_SENT): failed(
        "bad_device_token",
        "the device token has a form that no provider can take",
        "let the user of this phone log in to the app again, so that it registers anew",
        attribution="device",
        outcome=Outcome.REFUSED,
        counts_in_sla=False,
    ),
}

UNKNOWN_FAULT: Final = failed(
    "transport_unknown",
    "sending to {host} failed in a way that is not known ({reason})",
    "report it with the trace id; the device is kept",
    attribution="ours",
    outcome=Outcome.UNKNOWN,
    level="error",
)


def _refused(code: str, cause: str, fix: str, *, is_credential_fault: bool = False) -> Verdict:
    """Return the verdict on something the customer has to change; it is no event of the SLA."""
    return failed(
        code,
        cause,
        fix,
        attribution="customer",
        outcome=Outcome.REFUSED,
        counts_in_sla=False,
        is_credential_fault=is_credential_fault,
        level="info",
    )


def _ours(code: str, cause: str, fix: str, outcome: Outcome = Outcome.FAILED, level: str = "error") -> Verdict:
    return failed(code, cause, fix, attribution="ours", outcome=outcome, level=level)


_SETTING = "copy the value for Mattermost's Push Notification Server setting again"

REFUSALS: Final[dict[str, Verdict]] = {
    row.code: row
    for row in (
        _refused("no_key", "the request carries no server key, and the free test service is off here", _SETTING),
        _refused("unknown_key", "this server key is not known", _SETTING),
        _refused("revoked_key", "this server key has been revoked", "make a new key for the server and enter it"),
        _refused("expired_key", "this server key has expired", "make a new key for the server and enter it"),
        _refused(
            "two_keys", "the path carries one server key and the Authorization header another", "leave one of them out"
        ),
        _refused(
            "wrong_address",
            "the address that the request was sent to is none of this service's",
            "set Mattermost's Push Notification Server to {form}, with your key in the place of KEY and nothing behind "
            "it: no /api/v1/send_push, no question mark",
        ),
        _refused(
            "unsigned_push",
            "the push came without a server key, and without a signature that says whose it is",
            "use the server's key in Mattermost's Push Notification Server setting, or update Mattermost: it signs "
            "pushes from 9.5.5, 9.6.3, 9.7.3 and 9.8 on",
        ),
        _refused(
            "wrong_signature",
            "the push came without a server key, and is not signed by the server whose server_id it carries",
            "if Mattermost was set up anew, fetch the documents of its site on the server's page; else use its key",
        ),
        _refused(
            "server_id_unconfirmed",
            "the push came without a server key, and its server_id is registered but may not push without one",
            "use the server's key, or prove the server on its page",
        ),
        _refused("suspended", "the account is suspended", "ask {contact}"),
        _refused(
            "disabled_server",
            "this server was switched off on its page in this push service",
            "switch it on there, or choose another Push Notification Server setting in Mattermost",
        ),
        _refused(
            "plain_http",
            "the server key came over plain HTTP, where others can read it",
            "begin the Push Notification Server setting with https:// and use a new key",
        ),
        _ours(
            "unnamed_scheme",
            "the proxy in front of the push service does not say whether the server key came encrypted",
            "nothing to do at the server; whoever operates the push service lets that proxy set X-Forwarded-Proto",
        ),
        _refused(
            "wrong_network",
            "the request comes from an address that this server may not push from",
            "add {address} to the server's networks, or revoke the key if it is not yours",
        ),
        _refused(
            "test_service_off",
            "the free test service is off here",
            "ask {contact} for a subscription, or use another push service",
        ),
        _refused("not_entitled", "the subscription does not include this", "see the subscription page"),
        _refused(
            "subscription_unpaid",
            "the subscription has ended or was not paid, so that only wipes of lost phones are delivered",
            "pay what is open or choose a plan on the subscription page, or ask {contact}",
        ),
        _refused(
            "licence_expired",
            "no good Mattermost licence is known for the subscription, so that only wipes of lost phones are delivered",
            "upload the current licence on the licence page, or ask {contact}",
        ),
        _refused(
            "repeated",
            "the same push (one ack_id) came before, and that one failed or is not known to have arrived",
            "look for the first push with this ack_id; what sends it twice, such as a proxy that tries again, may stop",
        ),
        _refused("over_limit", "{detail}", "send less at once, or ask {contact} for a higher limit"),
        _refused(
            "malformed",
            "the push could not be read ({detail})",
            "check what changes requests on their way to the push service",
        ),
        _refused("missing_server_id", "the push has no server_id", "check what sends it; Mattermost always sets one"),
        _refused(
            "missing_device_id", "the push has no device_id", "let the user of this phone log in to the app again"
        ),
        _refused("missing_platform", "the push has no platform", "let the user of this phone log in to the app again"),
        _refused("missing_ack_id", "the ack has no id", "check what sends it; Mattermost passes on what its app says"),
        _refused("missing_ack_platform", "the ack has no platform", "check what sends it; the app always says it"),
        _refused("missing_ack_type", "the ack has no type", "check what sends it; the app always says it"),
        _refused(
            "no_app",
            "no mobile app is set up for the platform {label}",
            "add an app with exactly this platform label, or let its users change to an app that is set up",
        ),
        _refused(
            "app_switched_off",
            "the mobile app {label} is switched off",
            "switch it on again, or let its users change to an app that is on",
        ),
        _refused(
            "no_credential",
            "the app {label} has no credential",
            "upload a key for it on the app's page",
            is_credential_fault=True,
        ),
        _refused("too_large", "{detail}", "check what sends it; nothing of Mattermost is that large"),
        _ours(
            "credential_unreadable",
            "the credential of the app {label} cannot be decrypted",
            "report it with the trace id; uploading the credential again helps at once",
        ),
        _ours("queue_down", "the push service cannot queue pushes at the moment", _WAIT),
        _ours(
            "queue_unsaved",
            "the push had no result within {seconds} s, and the queue that it waits in could not be saved to disk",
            "it may still arrive; nothing to do unless it lasts; the status page of the push service knows more",
        ),
        _ours(
            "no_worker",
            "the call had no result within {seconds} s, and no worker of the push service takes pushes at the moment",
            "it may ring too late or not at all; nothing to do unless it lasts",
        ),
        _ours("overloaded", "the push service has more pushes in hand than it can answer in time", _WAIT),
        _ours("queue_full", "the queue of the push service is nearly full", _WAIT),
        _ours("shutting_down", "the push service is restarting", _WAIT),
        _ours("not_ready", "the push service is starting and cannot recognise server keys yet", _WAIT),
        _ours("internal_error", "the push service failed inside", "report it with the trace id"),
        _ours(
            "late_test",
            "the test push had no result within {seconds} s",
            "the app tests again when it connects the next time",
        ),
        _ours("lost", "the push was accepted and its end is not known", "report it with the trace id", Outcome.LOST),
        _ours(
            "interrupted",
            "what had begun to send the push ended before the provider's answer; the push may have been delivered, and "
            "is not sent again because it would ring or show twice",
            _WAIT,
            Outcome.UNKNOWN,
        ),
        _ours("expired", "the push was no longer of use before it could be sent", _WAIT, Outcome.EXPIRED, "warning"),
    )
}
REFUSALS["provider_away"] = failed(
    "provider_away",
    "{host} did not answer the last pushes with the app's credential ({reason}), so that none is sent to it for some "
    "seconds",
    _WAIT,
    attribution="provider",
)
