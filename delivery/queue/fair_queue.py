"""Fair queue: shares what is taken out of it between tenants, by deficit round robin. Pure data, no clock.

Each tenant has a queue of its own, and they are taken in turn: in its turn a tenant may take as much as its weight
allows, what it has not used of that it keeps as long as something of it waits ("Efficient fair queuing using deficit
round robin", Shreedhar and Varghese, 1995, https://doi.org/10.1145/217391.217453). What is urgent has a ring of queues
of its own, which is served first, but not alone while something else waits, and of which one tenant has a few places.
Invariants: everything comes out once; of one tenant and urgency in the order in which it came; nobody waits for ever.
"""

from collections import OrderedDict, deque
from typing import Final, Generic, TypeVar

T = TypeVar("T")

# What a tenant of weight 1 may take in its turn: a push of usual size, which costs FIXED and its bytes.
QUANTUM: Final = 2_000
FIXED: Final = 1_000
# Urgent ones of one tenant that may wait as such: so many calls ring at once in no company, but in a flood.
URGENT_MOST: Final = 20
# Urgent ones that are taken in a row while others wait.
IN_A_ROW: Final = 3


class _Flow(Generic[T]):
    __slots__ = ("deficit", "items", "size", "weight")

    def __init__(self, weight: int) -> None:
        self.items: deque[tuple[T, int]] = deque()
        self.size = self.deficit = 0
        self.weight = weight


class _Ring(Generic[T]):
    """Queues by tenant, taken in turn."""

    def __init__(self) -> None:
        self.flows: OrderedDict[int, _Flow[T]] = OrderedDict()  # whoever's turn it is stands first
        self.held: dict[int, _Flow[T]] = {}  # those that have none

    def of(self, tenant: int) -> _Flow[T] | None:
        return self.flows.get(tenant) or self.held.get(tenant)

    def hold(self, tenant: int) -> None:
        if (flow := self.flows.pop(tenant, None)) is not None:
            self.held[tenant] = flow

    def resume(self, tenant: int) -> None:
        if (flow := self.held.pop(tenant, None)) is not None:
            self.flows[tenant] = flow

    def put(self, tenant: int, item: T, size: int, weight: int) -> None:
        flow = self.of(tenant)
        if flow is None:
            flow = self.flows[tenant] = _Flow(weight)
        flow.items.append((item, size))
        flow.size += size

    def take(self) -> tuple[T, int]:
        while True:
            tenant = next(iter(self.flows))
            flow = self.flows[tenant]
            item, size = flow.items[0]
            cost = FIXED + size
            if flow.deficit < cost:
                flow.deficit += QUANTUM * flow.weight
                if flow.deficit < cost:
                    self.flows.move_to_end(tenant)
                    continue
            flow.items.popleft()
            flow.deficit -= cost
            flow.size -= size
            if not flow.items:
                del self.flows[tenant]
            elif flow.deficit < FIXED + flow.items[0][1]:
                self.flows.move_to_end(tenant)
            return item, size


class FairQueue(Generic[T]):
    """See the module. `size`: the bytes that wait."""

    def __init__(self) -> None:
        self.size = self._count = self._in_a_row = 0
        self._urgent: _Ring[T] = _Ring()
        self._usual: _Ring[T] = _Ring()

    def __len__(self) -> int:
        """How many wait."""
        return self._count

    @property
    def is_ready(self) -> bool:
        """Whether something waits for nothing but its turn."""
        return bool(self._usual.flows or self._urgent.flows)

    @property
    def held(self) -> set[int]:
        """The tenants that have no turn."""
        return {*self._usual.held, *self._urgent.held}

    def hold(self, tenant: int) -> None:
        """Give a tenant no turn, until resume(); of what comes later it may have one."""
        self._usual.hold(tenant)
        self._urgent.hold(tenant)

    def resume(self, tenant: int) -> None:
        """Give a tenant its turns again."""
        self._usual.resume(tenant)
        self._urgent.resume(tenant)

    def count(self, tenant: int) -> int:
        """How many of a tenant's wait."""
        return sum(len(flow.items) for ring in (self._usual, self._urgent) if (flow := ring.of(tenant)) is not None)

    def oldest(self, tenant: int) -> T | None:
        """What waits longest of what is not urgent of a tenant."""
        flow = self._usual.of(tenant)
        return None if flow is None else flow.items[0][0]

    def has_more_than_its_part(self, tenant: int) -> bool:
        """Whether a tenant has more of the bytes that wait than each would have if all had the same."""
        flow = self._usual.of(tenant)
        return flow is not None and flow.size * (len(self._usual.flows) + len(self._usual.held)) >= self.size

    def put(self, tenant: int, item: T, size: int, *, weight: int = 1, urgent: bool = False) -> None:
        """Let an item of so many bytes wait for its tenant's turn; the weight is that of its first one that waits."""
        flow = self._urgent.of(tenant) if urgent else None
        ring = self._urgent if urgent and (flow is None or len(flow.items) < URGENT_MOST) else self._usual
        ring.put(tenant, item, size, weight)
        self._count += 1
        self.size += size

    def take(self) -> T:
        """Take what is next. LookupError where nothing waits that may have its turn."""
        if not self.is_ready:
            raise LookupError("nothing waits for its turn")
        urgent = bool(self._urgent.flows) and (self._in_a_row < IN_A_ROW or not self._usual.flows)
        self._in_a_row = self._in_a_row + 1 if urgent else 0
        item, size = (self._urgent if urgent else self._usual).take()
        self._count -= 1
        self.size -= size
        return item
