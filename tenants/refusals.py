"""Why a caller is not let in: one exception for each reason that somebody outside can do something about."""

from rest_framework.exceptions import AuthenticationFailed


class Refused(AuthenticationFailed):
    """The caller is not let in; `code` is the refusal's stable code, `detail` the cause in plain words.

    `details`: what of the request itself the answer names. It goes to the caller alone, and into no log.
    """

    code: str
    cause: str

    def __init__(self, **details: str) -> None:
        super().__init__(self.cause, self.code)
        self.details = details


class NoKey(Refused):
    """The request carries no key."""

    code, cause = "no_key", "the request carries no server key"


class UnreadableKey(Refused):
    """What stands in the place of the key cannot be one."""

    code, cause = "unknown_key", "what stands in the place of the server key is not one"


class UnknownKey(Refused):
    """No such key, or the wrong secret for its prefix: nobody is told which."""

    code, cause = "unknown_key", "this server key is not known"


class TwoKeys(Refused):
    """One key in the path and another in the Authorization header: whose push it is cannot be guessed."""

    code, cause = "two_keys", "the path carries one server key and the Authorization header another"


class NotReady(Refused):
    """This process has not been able to read who is known: the key may well be good."""

    code, cause = "not_ready", "the push service is starting and cannot recognise server keys yet"


class RevokedKey(Refused):
    """The key was revoked."""

    code, cause = "revoked_key", "this server key was revoked"


class ExpiredKey(Refused):
    """The key's time is over."""

    code, cause = "expired_key", "this server key has expired"


class Suspended(Refused):
    """The key is good, but its customer is not served."""

    code, cause = "suspended", "this customer is suspended"


class PlainHttp(Refused):
    """The key came unencrypted from somewhere else than it may."""

    code, cause = "plain_http", "the server key came over plain HTTP"


class WrongNetwork(Refused):
    """The server's allow-list does not hold the address that the request came from (`address`; "" when not known)."""

    code, cause = "wrong_network", "the request comes from an address that this server is not allowed to push from"


class TestServiceOff(Refused):
    """The test service is switched off, and this is a customer of it."""

    code, cause = "test_service_off", "the free test service is off here"


class NotListed(Refused):
    """There is no key, and the push's server_id is not one that may push by itself."""

    code, cause = "no_key", "the request carries no server key"
