"""A replica of a stage's Valkey, that may be held still."""

from collections.abc import Iterator
from contextlib import contextmanager

import redis

from hpns.local import wheels
from hpns.local.process import Child, Spec
from tests.stage import Stage, free_port
from tests.waiting import PATIENCE, wait_for

NAME = "replica"
"""Of the stage's child."""


@contextmanager
def following(stage: Stage) -> Iterator[None]:
    """One follows as long as this is open; it goes before the primary forgets of it."""
    account, home = stage.folder.account, stage.folder.servers / NAME
    home.mkdir(mode=0o700, exist_ok=True)
    account.own(home)
    primary = redis.connection.parse_url(stage.valkey.url)
    options = {
        "port": free_port(),
        "bind": "127.0.0.1",
        "dir": home,
        "save": "",
        "replicaof": f"127.0.0.1 {primary['port']}",
        "masterauth": primary["password"],
    }
    words = [word for name, value in options.items() for word in (f"--{name}", *(str(value).split() or [""]))]
    spec = Spec(
        name=NAME,
        command=[wheels.valkey(stage.folder), *words],
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        log=stage.folder.logs / f"{NAME}.log",
        cwd=home,
        account=account,
    )
    stage.children[NAME] = Child(spec)
    with stage.redis() as valkey:
        try:
            wait_for(lambda: _online(valkey) == 1, PATIENCE, "the replica follows")
            yield
        finally:
            stage.kill(NAME)
            wait_for(lambda: _online(valkey) == 0, PATIENCE, "the primary has no replica any more")


def _online(valkey: redis.Redis) -> int:
    info = valkey.info("replication")
    return sum(info[f"slave{number}"]["state"] == "online" for number in range(info["connected_slaves"]))
