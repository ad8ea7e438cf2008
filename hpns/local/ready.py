"""Waits for the service's readiness probe, and reports what is missing when it fails."""

from hpns.local.ask import request
from hpns.local.logs import end_of
from hpns.local.problem import ProblemError
from hpns.local.supervisor import Supervisor

PATH = "/health/ready"


def wait(supervisor: Supervisor, port: int, seconds: float = 60.0) -> bool:
    """Return once GET /health/ready on `port` answers 200: whether by HTTPS, as where TLS_CERT_FILE is set.

    Raises ProblemError naming what is missing, StoppedError.
    """
    last: tuple[int, object] = (0, "")
    tls = False

    def is_ready() -> bool:
        nonlocal last, tls
        last = request("GET", port, PATH, seconds=5, tls=tls)
        if last[0] == 0:  # nobody listens yet, or the other way is spoken there
            tls = not tls
        return last[0] == 200

    if supervisor.until(is_ready, seconds):
        return tls
    status, body = last
    if status == 503 and isinstance(body, dict):
        reason = "; ".join(str(part) for part in body.get("missing", []))
        names = ["worker-1", "ingest"]
    else:
        reason = f"{PATH} answers {status or 'nothing'}"
        names = ["ingest"]
    logs = "\n".join(end_of(supervisor.log_of(name)) for name in names)
    raise ProblemError(f"Not ready after {seconds:.0f} s: {reason}.\n{logs}")
