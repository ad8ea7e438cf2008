"""`python -m delivery.sandbox`: runs the provider sandbox until SIGTERM or Ctrl-C.

Invariant: it either becomes ready (`sandbox.json` in the state folder) or ends at once with one line that says why.
"""

import argparse
import asyncio
import gc
import logging
import signal
import sys
from pathlib import Path

import uvloop

from delivery.sandbox.server import Sandbox, Settings

log = logging.getLogger("delivery.sandbox")


def main() -> int:
    """Runs; returns the exit code: 0 after a signal, 1 when it could not start."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    settings = _settings()
    try:
        uvloop.run(_run(settings))
    except (OSError, ValueError) as fault:
        sys.stderr.write(f"the provider sandbox could not start: {fault}\n")
        return 1
    return 0


async def _run(settings: Settings) -> None:
    sandbox = Sandbox(settings)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    addresses = await sandbox.start()
    log.info("providers: https://localhost:%d, the phone: http://localhost:%d/", addresses.port, addresses.page_port)
    gc.freeze()
    await stop.wait()
    await sandbox.stop()


def _settings() -> Settings:
    parser = argparse.ArgumentParser(prog="python -m delivery.sandbox", description="A stand-in for Apple and Google.")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="the providers' port, TLS and HTTP/2 (0: any)")
    parser.add_argument("--page-port", type=int, default=0, help="the page's and the API's port, HTTP (0: any)")
    parser.add_argument("--state", type=Path, required=True, help="the folder for certificates and sandbox.json")
    parser.add_argument("--accounts", type=Path, required=True, help="the JSON file of accepted keys and accounts")
    parser.add_argument("--run-file", type=Path, help="where the push address of the demo stands (STATE/run.json)")
    parser.add_argument("--keep", type=int, default=20_000, help="how many requests to remember")
    parser.add_argument("--lenient-tokens", action="store_true", help="take device tokens of any form")
    parser.add_argument("--limit-token-updates", action="store_true", help="one provider token in 20 minutes, as Apple")
    given = parser.parse_args()
    return Settings(
        folder=given.state,
        accounts=given.accounts,
        host=given.host,
        port=given.port,
        page_port=given.page_port,
        keep=given.keep,
        lenient_tokens=given.lenient_tokens,
        limit_token_updates=given.limit_token_updates,
        run_file=given.run_file or given.state / "run.json",
    )


if __name__ == "__main__":
    sys.exit(main())
