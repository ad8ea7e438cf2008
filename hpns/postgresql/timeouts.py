"""Timeouts of connections to PostgreSQL, for each role: nobody waits for ever, and nobody is waited for.

A statement ends by statement_timeout, a wait for a lock by lock_timeout, a transaction whose client has fallen silent
by idle_in_transaction_session_timeout; a server that is silent itself by client_timeout (base.py), and one whose
machine is gone by TCP's. https://www.postgresql.org/docs/current/runtime-config-client.html
"""

from typing import Any, Final, NamedTuple


class Timeouts(NamedTuple):
    """Seconds; 0: none."""

    statement: int
    lock: int
    idle_in_transaction: int

    @property
    def client(self) -> int:
        """Until a server that says nothing is given up: later than it would end the statement itself."""
        return self.statement + CLIENT_MARGIN if self.statement else 0


CLIENT_MARGIN: Final = 5

# A page that takes longer has lost its reader, who holds one of its few places (hpns/web/page_limit.py).
PAGES: Final = Timeouts(statement=30, lock=5, idle_in_transaction=60)
# The log's parts (delivery/log/writing.py) take a second at most on a slow disk; what failed is tried again in a
# second, so that to wait for a lock brings nothing. The directory is read by the same role.
WORKER: Final = Timeouts(statement=20, lock=5, idle_in_transaction=30)
# Of the timetable: rows move into their partition, what is too old is deleted; such statements may be long.
OWNER: Final = Timeouts(statement=300, lock=5, idle_in_transaction=60)
# Of commands: migrations, exports and backups take what they take, with somebody at the terminal, and a backup's
# transaction is idle while pg_dump works. But whoever waits for a lock makes all others wait behind it.
COMMANDS: Final = Timeouts(statement=0, lock=30, idle_in_transaction=0)


def options(timeouts: Timeouts, given: dict[str, Any]) -> dict[str, Any]:
    """OPTIONS of Django's DATABASES with these timeouts; `given` are those of the URL, which win."""
    server = " ".join(
        f"-c {name}={seconds}s"
        for name, seconds in (
            ("statement_timeout", timeouts.statement),
            ("lock_timeout", timeouts.lock),
            ("idle_in_transaction_session_timeout", timeouts.idle_in_transaction),
        )
        if seconds
    )
    found: dict[str, Any] = {
        "connect_timeout": 5,
        # A standby counts as away until it is promoted: what it says may be old, and it takes no writes. Of several
        # hosts in the URL this finds the one that is not.
        "target_session_attrs": "primary",
        # What was sent and not acknowledged, in milliseconds; and probes of a connection on which nothing is sent.
        "tcp_user_timeout": 10_000,
        "keepalives_idle": 10,
        "keepalives_interval": 3,
        "keepalives_count": 3,
        **given,
        "options": f"{server} {given.get('options', '')}".strip(),
    }
    if timeouts.client:
        found.setdefault("client_timeout", timeouts.client)
    return found
