"""Authentication failures of a push: one exception for each reason that the caller can do something about."""

from typing import NamedTuple

from rest_framework.exceptions import AuthenticationFailed


class Whose(NamedTuple):
    """Who a rejected request names, by their ids; key_id 0: by its server_id.

    It is no proof, for who has only the beginning of a key names it, too; but where `is_proven`: the request bore the
    whole key, or what else a push of this server would have been taken for its own by.
    """

    customer_id: int
    key_id: int
    server_id: int = 0
    is_proven: bool = False


class CallerRejected(AuthenticationFailed):
    """The caller is rejected; `code` is the stable error code, `detail` the cause in plain words.

    `details`: what of the request itself the answer names. It goes to the caller alone, and into no log. `whose`: who
    may want to know of it, None where the request names nobody. `server_id`: what the push says of itself, "" where its
    body was not read.
    """

    code: str
    cause: str
    server_id: str = ""

    def __init__(self, whose: Whose | None = None, **details: str) -> None:
        super().__init__(self.cause, self.code)
        self.whose, self.details = whose, details


class NoKey(CallerRejected):
    """The request carries no key."""

    code, cause = "no_key", "the request carries no server key"


class UnreadableKey(CallerRejected):
    """The text in the place of the key is malformed: it cannot be a key."""

    code, cause = "unknown_key", "what stands in the place of the server key is not one"


class UnknownKey(CallerRejected):
    """No such key, or the wrong secret for its prefix: nobody is told which."""

    code, cause = "unknown_key", "this server key is not known"


class TwoKeys(CallerRejected):
    """Ambiguous: one key in the path and another in the Authorization header."""

    code, cause = "two_keys", "the path carries one server key and the Authorization header another"


class NotReady(CallerRejected):
    """The directory of keys is not loaded in this process yet: the key may well be good."""

    code, cause = "not_ready", "the push service is starting and cannot recognise server keys yet"


class RevokedKey(CallerRejected):
    """The key was revoked."""

    code, cause = "revoked_key", "this server key was revoked"


class ExpiredKey(CallerRejected):
    """The key has expired."""

    code, cause = "expired_key", "this server key has expired"


class Suspended(CallerRejected):
    """The key is valid, but its customer is suspended."""

    code, cause = "suspended", "this customer is suspended"


class DisabledServer(CallerRejected):
    """The key is valid, but its server was switched off by its own people."""

    code, cause = "disabled_server", "this server was switched off"


class PlainHttp(CallerRejected):
    """The key came unencrypted from somewhere else than it may."""

    code, cause = "plain_http", "the server key came over plain HTTP"


class UnnamedScheme(CallerRejected):
    """The key came by a proxy of ours that does not say over which scheme: nobody at the server can mend that."""

    code, cause = "unnamed_scheme", "the proxy in front of the push service does not say whether it was encrypted"


class WrongNetwork(CallerRejected):
    """The server's allow-list does not hold the address that the request came from (`address`; "" when not known)."""

    code, cause = "wrong_network", "the request comes from an address that this server is not allowed to push from"


class TestServiceOff(CallerRejected):
    """The test service is switched off, and this is a customer of it."""

    code, cause = "test_service_off", "the free test service is off here"


class UnsignedPush(CallerRejected):
    """No key, and no signature either, where the signature says whose push it is."""

    code, cause = "unsigned_push", "the push carries no signature"


class WrongSignature(CallerRejected):
    """No key, and the signature is not that of the server whose server_id the push carries."""

    code, cause = "wrong_signature", "the push is not signed by the server whose server_id it carries"


class NotListed(CallerRejected):
    """No key, and the push's server_id is not registered to push without one."""

    code, cause = "no_key", "the request carries no server key"


class Unconfirmed(CallerRejected):
    """No key, and the push's server_id is registered and not allowed to push without one."""

    code, cause = "server_id_unconfirmed", "the push's server_id is registered but may not push without a key"


class WrongAddress(CallerRejected):
    """The request was meant for an endpoint and went to none, as a mistyped setting makes it."""

    code, cause = "wrong_address", "the address of the request is none of this service's"
