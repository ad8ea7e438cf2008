"""A long load without a fault: do memory, descriptors, keys and connections stay as they are?

Each is sampled, and judged by the slope of a straight line through the samples (least squares) of the last two thirds,
in what it would add in 100,000 pushes: the first third fills pools and caches. `LIMITS` says what may be added: the
queue's memory of who came before grows for 24 hours, by some bytes a push, and is bounded then.
"""

import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import psycopg
import redis

from tests.bench import processes
from tests.bench.faults.judge import RECOVERY, breaches, judge
from tests.bench.faults.report import Row
from tests.bench.faults.scene import Journal, Scene, finished

INTERVAL: Final = 10.0
MIB: Final = 2**20
# What 100,000 pushes may add, by sample; what is not named here is shown and not judged.
LIMITS: Final = {
    "web MiB": 3.0,
    "worker MiB": 3.0,
    "beat MiB": 1.0,
    "descriptors": 5.0,
    "Valkey keys": 1_000.0,
    "Valkey MiB": 4.0,
    "PostgreSQL connections": 1.0,
}
# What comes and goes with any load, in the same units: less than this is no growth, however few the pushes were.
NOISE: Final = {"web MiB": 5.0, "worker MiB": 5.0, "beat MiB": 2.0, "descriptors": 10.0, "PostgreSQL connections": 5.0}
# Seconds after which the memory of progress lapses: until then its keys grow, whatever is well.
_LAPSE: Final = 320.0
# Fewer samples tell nothing.
_FEWEST: Final = 6

Sample = dict[str, float]


def sample(scene: Scene, pushes: int, seconds: float) -> Sample:
    """One look at everything. Raises what the stores raise."""
    stage = scene.stage
    roots = {name: child.pid for name, child in stage.children.items()}
    seen = processes.look()
    groups = {"web": ["ingest"], "worker": [name for name in roots if name.startswith("worker")], "beat": ["beat"]}
    found: Sample = {"seconds": round(seconds, 1), "pushes": pushes}
    descriptors = 0
    for group, names in groups.items():
        pids = processes.tree(seen, [roots[name] for name in names])
        found[f"{group} MiB"] = round(processes.memory(pids)[1] / MIB, 2)
        descriptors += sum(_descriptors(pid) for pid in pids)
    found["descriptors"] = descriptors
    with stage.redis() as valkey:
        found["Valkey keys"] = valkey.dbsize()
        found["Valkey MiB"] = round(valkey.info("memory")["used_memory"] / MIB, 2)
    with psycopg.connect(stage.postgres.url) as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
        found["PostgreSQL connections"] = connection.execute(query).fetchall()[0][0]
    found["PostgreSQL MiB"] = round(processes.memory(processes.tree(seen, [roots["postgres"]]))[1] / MIB, 2)
    return found


def _descriptors(pid: int) -> int:
    with suppress(OSError):
        return len(os.listdir(f"/proc/{pid}/fd"))
    return 0


def slope(points: Sequence[tuple[float, float]]) -> float:
    """The slope of the straight line through the points (least squares); 0.0 where there is none."""
    count = len(points)
    mean_x, mean_y = (sum(point[axis] for point in points) / count for axis in (0, 1)) if count else (0.0, 0.0)
    below = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / below if below else 0.0


def growth(samples: Sequence[Sample]) -> dict[str, float]:
    """What each sample would add in 100,000 pushes, after the first third."""
    late = samples[len(samples) // 3 :]
    names = [name for name in (samples[0] if samples else ()) if name not in ("seconds", "pushes")]
    return {name: 100_000 * slope([(each["pushes"], each[name]) for each in late]) for name in names}


def verdict(samples: Sequence[Sample]) -> list[str]:
    """What is not flat, a sentence each."""
    if len(samples) < _FEWEST:
        return [f"only {len(samples)} samples: too few to judge"]
    grown, short = growth(samples), samples[-1]["seconds"] * 2 / 3 < _LAPSE
    pushes = samples[-1]["pushes"] - samples[len(samples) // 3]["pushes"]
    exempt = {"Valkey keys", "Valkey MiB"} if short else set()
    return [
        f"{name}: {grown[name]:+.2f} in 100,000 pushes, {most:g} at most"
        for name, most in LIMITS.items()
        if grown.get(name, 0.0) > most and name not in exempt
        if grown[name] * pushes / 100_000 > NOISE.get(name, 0.0)
    ]


def soaked(scene: Scene, rate: float, seconds: float, say: Callable[[str], None]) -> tuple[Row, list[Sample]]:
    """Load the scene for so long; the row of the table, and the samples."""
    journal, load, samples, away = Journal(scene), scene.load(rate), list[Sample](), list[str]()
    load.start()
    began = time.monotonic()
    stopped = threading.Event()
    while (now := time.monotonic() - began) < seconds and not stopped.wait(min(INTERVAL, seconds - now)):
        try:
            samples.append(sample(scene, len(load.told), time.monotonic() - began))
        except (redis.RedisError, psycopg.Error) as error:  # nothing is meant to be away here
            away.append(f"a store is away after {now:.0f} s: {error!r:.200}")
            say(f"  {away[-1]}")
        else:
            say("  " + ", ".join(f"{name} {value:g}" for name, value in samples[-1].items()))
    ended = time.monotonic()
    load.stop()
    took, problems = scene.wait_until(scene.unended, RECOVERY)
    record = finished(scene, load, journal, None if took is None else time.monotonic() - ended)
    tally = judge(record)
    for name, grown in growth(samples).items():
        say(f"  {name:<24} {samples[-1][name]:10.1f}, {grown:+8.2f} in 100,000 pushes")
    return Row("soak", "no fault", [], tally, [*breaches(tally), *verdict(samples), *away[:1]], problems), samples
