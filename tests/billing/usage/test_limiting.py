"""What a limited customer may still send: what is included, spread over the month, and the wipes of all its devices."""

from billing.usage import limiting
from delivery.ingest.limits import Limits
from tenants.directory.snapshot import Limit
from tests.billing.usage.used import terms
from tests.delivery.ingest.limiting import HASH_KEY, WIPE, exceeded, flood, identity, settled
from tests.delivery.links import links


def test_the_lowered_rate_would_spread_what_is_included_over_the_month() -> None:
    assert limiting.rate_of(terms(included_pushes=1_000)) == 1
    assert limiting.rate_of(terms(included_pushes=26_000_000)) == 11
    assert limiting.rate_of(terms(included_pushes=None, included_devices=20_000)) == 3
    assert (limiting.burst_of(1, 5), limiting.burst_of(1, 50_000)) == (60, 100_000)


async def test_while_pushes_are_limited_all_devices_can_be_wiped_at_once(valkey_url: str) -> None:
    devices_of_acme = 5_000
    rate = limiting.rate_of(terms())
    lowered = Limit(rate, limiting.burst_of(rate, devices_of_acme))
    who = identity(server=Limit(1_000, 50_000), customer=lowered)
    async with links(valkey_url, 1) as (link,):
        process = Limits(link, "p", HASH_KEY, 20_000)
        await flood(process, who, 12_000)
        await settled(process)
        assert "this customer may send 1 pushes a second" in exceeded(process, who)
        wiped = 0
        for _ in range(10):
            wiped += (await flood(process, who, devices_of_acme // 10, **WIPE))[0]
            await settled(process)
        assert wiped == devices_of_acme
