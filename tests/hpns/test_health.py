"""The health checks of containers: healthy only when the part does its work, else one line that says what is wrong."""

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.hpns.web_server import Server, Stores
from tests.stage import ROOT, free_port
from tests.waiting import PATIENCE, wait_for


def health(stores: Stores, *arguments: str, settings: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Run a check; its exit code and what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "hpns.health", *arguments],
        cwd=ROOT,
        env={**stores.env, **(settings or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout.strip()


def test_a_front_door_without_workers_is_not_healthy(web: Server) -> None:
    code, text = health(web.stores, "web", "--port", str(web.port))
    assert (code, text) == (1, "no worker is running: pushes would wait in the queue")


def test_a_port_where_nobody_listens_is_not_healthy(stores: Stores) -> None:
    code, text = health(stores, "web", "--port", str(free_port()))
    assert (code, "does not answer" in text) == (1, True)


class Worker:
    """A running worker (hpns.worker) on a database of Valkey of its own."""

    def __init__(self, stores: Stores, log: Path) -> None:
        self.stores, self.log = stores, log
        self.settings = {"REDIS_URL": stores.env["REDIS_URL"].removesuffix("/0") + "/3"}
        self.store = redis.Redis.from_url(self.settings["REDIS_URL"])
        env = {**stores.env, **self.settings}
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "hpns.worker"], cwd=ROOT, env=env, stdout=out, stderr=out
            )

    def says(self, wanted: tuple[int, str]) -> None:
        """Wait for what its health check says."""
        end = time.monotonic() + PATIENCE
        while (last := health(self.stores, "worker", settings=self.settings)) != wanted:
            assert time.monotonic() < end, f"{last}\n{self.log.read_text()}"


@pytest.fixture(scope="module")
def worker(stores: Stores, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """A worker for the tests of this file; each leaves it healthy."""
    made = Worker(stores, tmp_path_factory.mktemp("worker") / "worker.log")
    yield made
    made.process.kill()
    made.process.wait()


def test_without_a_worker_none_is_healthy(stores: Stores) -> None:
    settings = {"REDIS_URL": stores.env["REDIS_URL"].removesuffix("/0") + "/4"}
    assert health(stores, "worker", settings=settings) == (1, "no worker of this host has renewed its lease")


def test_a_worker_is_healthy_while_it_has_its_lease(worker: Worker) -> None:
    worker.says((0, "healthy"))


def task(name: str = "delivery.deliver", **members: Any) -> dict[str, Any]:
    """A task's message as it stands in the queue; `members` change it."""
    headers = {"lang": "py", "task": name, "id": uuid.uuid4().hex, "argsrepr": "", "kwargsrepr": ""}
    properties = {"delivery_tag": headers["id"], "delivery_info": {"exchange": "", "routing_key": "push"}}
    body = '[["abcdef:1", ""], {}, {"callbacks": null, "errbacks": null, "chain": null, "chord": null}]'
    message = {"body": body, "content-encoding": "utf-8", "content-type": "application/json", "headers": headers}
    return {**message, "properties": {**properties, **members.pop("properties", {})}, **members}


POISON: dict[str, Any] = {
    "no JSON": b"no JSON",
    "no properties": {},
    "a task that nobody has": task("delivery.of_another_version"),
    "no task": task(headers={}),
    "no id": task(headers={"task": "delivery.deliver"}),
    "headers that are a list": task(headers=["task"]),
    "headers that are a text": task(headers="task"),
    "a body that is no JSON": task(body="no JSON"),
    "a body that is no task": task(body='{"a": 1}'),
    "an empty body": task(body=""),
    "a body that is no text": task(body=7),
    "a body without arguments": task(body="[[], {}, {}]"),
    "too many arguments": task(body="[[1, 2, 3, 4], {}, {}]"),
    "another type": task(**{"content-type": "application/x-python-serialize"}),
    "no type": task(**{"content-type": None}),
    "an unknown encoding": task(**{"content-type": "text/plain", "content-encoding": "of-nowhere"}),
    "an unknown encoding of the body": task(properties={"body_encoding": "of-nowhere"}),
    "no base64": task(properties={"body_encoding": "base64"}, body="*"),
    "not compressed": task(headers={**task()["headers"], "compression": "application/x-gzip"}),
    "no date": task(headers={**task()["headers"], "eta": "tomorrow"}),
    "no end": task(headers={**task()["headers"], "expires": [1]}),
    "delivery_info that is a text": task(properties={"delivery_info": "here"}),
    "a batch of no number": task(body='[["abcdef", "AAAA"], {}, {}]'),
}


def test_a_worker_puts_aside_what_it_cannot_read_and_stays_healthy(worker: Worker) -> None:
    worker.says((0, "healthy"))
    store = worker.store
    sent = [body if isinstance(body, bytes) else json.dumps(body).encode() for body in POISON.values()]
    for body in sent:
        store.lpush("push", body)
    good = task(body=json.dumps([["abcdef:2"], {}, {}]))  # a batch without a payload: it ends at once
    store.lpush("push", json.dumps(good).encode())
    wait_for(lambda: "the pushes of a batch are gone" in worker.log.read_text(), PATIENCE, "what comes next is read")
    names = dict(zip(sent, POISON, strict=True))
    end = time.monotonic() + PATIENCE
    while left := [names.get(item, item) for key in store.keys("taken:*") for item in store.lrange(key, 0, -1)]:
        assert time.monotonic() < end, left
        time.sleep(0.05)
    aside = [names.get(item, item) for item in store.lrange("unreadable", 0, -1)]
    assert sorted(aside) == sorted(POISON)
    time.sleep(2.5)  # another heartbeat
    assert store.llen("unreadable") == len(sent)
    worker.says((0, "healthy"))


def test_a_worker_whose_queue_cannot_be_consumed_is_not_healthy(worker: Worker) -> None:
    worker.says((0, "healthy"))
    worker.store.set("push", "no list")
    worker.says((1, "queue push is refused by Valkey (WRONGTYPE)"))
    worker.store.delete("push")
    worker.says((0, "healthy"))


def test_the_timetable_is_healthy_while_its_file_is_written(stores: Stores, tmp_path: Path) -> None:
    file = tmp_path / "beat"
    assert health(stores, "beat", str(file)) == (1, f"there is no {file}")
    file.with_suffix(".db").touch()
    assert health(stores, "beat", str(file)) == (0, "healthy")
    long_ago = time.time() - 1000
    os.utime(file.with_suffix(".db"), (long_ago, long_ago))
    code, text = health(stores, "beat", str(file))
    assert (code, text.startswith(f"{file} was last written 100")) == (1, True)
