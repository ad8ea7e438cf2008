"""Waits until the service would take, send and answer a push, and says what is missing when it would not."""

from hpns.local.ask import ask
from hpns.local.logs import end_of
from hpns.local.problem import ProblemError
from hpns.local.supervisor import Supervisor

PATH = "/health/ready"


def wait(supervisor: Supervisor, port: int, seconds: float = 60.0) -> None:
    """Return once GET /health/ready on `port` answers 200. Raises ProblemError naming what is missing, StoppedError."""
    last: tuple[int, object] = (0, "")

    def is_ready() -> bool:
        nonlocal last
        last = ask("GET", port, PATH, seconds=5)
        return last[0] == 200

    if supervisor.until(is_ready, seconds):
        return
    status, said = last
    if status == 503 and isinstance(said, dict):
        reason = "; ".join(str(part) for part in said.get("missing", []))
        names = ["worker-1", "ingest"]
    else:
        reason = f"{PATH} answers {status or 'nothing'}"
        names = ["ingest"]
    logs = "\n".join(end_of(supervisor.log_of(name)) for name in names)
    raise ProblemError(f"Not ready after {seconds:.0f} s: {reason}.\n{logs}")
