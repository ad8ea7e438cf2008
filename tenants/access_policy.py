"""From where, and over what, whoever has shown its key may push."""

from collections.abc import Callable

from django.conf import settings

from tenants import network
from tenants.directory.snapshot import Identity
from tenants.network import RequestInfo, TrustedProxies
from tenants.refusals import PlainHttp, TestServiceOff, UnnamedScheme, Whose, WrongNetwork


class AccessPolicy:
    """Access policy of an authenticated identity: encrypted transport, allowed networks, the test service."""

    def __init__(self) -> None:
        self.proxies = TrustedProxies(settings.TRUSTED_PROXIES, settings.PLAIN_HTTP_FROM)
        self._test_service: bool = settings.TEST_SERVICE

    def check_access(self, identity: Identity, request: RequestInfo, whose: Callable[[Identity], Whose | None]) -> None:
        """Raises PlainHttp, UnnamedScheme, WrongNetwork or TestServiceOff.

        `whose`: as whom they name an identity, None as nobody.
        """
        if identity.tls and not self.proxies.accepts_keys(request):
            if self.proxies.is_told_no_scheme(request):
                raise UnnamedScheme  # nobody's but ours, so it is told to no customer
            raise PlainHttp(whose(identity))
        if identity.trial and not self._test_service:
            raise TestServiceOff(whose(identity))
        if identity.networks:
            client = self.proxies.client(request)
            if not network.is_inside(client, network.parsed(identity.networks)):
                raise WrongNetwork(whose(identity), address=str(client or ""))
