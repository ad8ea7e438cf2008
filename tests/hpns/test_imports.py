"""What processes import, each of them with all it imports for hours of rest: none what belongs to another one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Of people who look at something, of invoices and licences, of tests.
PAGES = ("hpns.urls", "hpns.departure.pages", "tenants.accounts.urls", "delivery.pages.urls", "uvicorn", "qrcode")
PAPERS = ("fpdf", "fontTools", "facturx", "lxml")
TESTS = ("pytest", "playwright", "hpns.local", "delivery.sandbox")
MODELS = ("django.db", "django.contrib", "psycopg", "allauth", "rest_framework", "billing", "delivery.tasks")
SENDING = ("delivery.http2", "delivery.worker", "delivery.ingest", "aioapns", "google", "hpack", "aiohttp")
STORES = ("celery", "kombu", "redis", "cryptography")
TASKS = "import hpns.worker; from hpns.celery import app; app.loader.import_default_modules()"


@pytest.mark.parametrize(
    ("program", "without"),
    [
        (
            "import hpns.beat, hpns.celery.publishing",
            (*PAGES, *PAPERS, *TESTS, *MODELS, *SENDING, "cryptography.hazmat"),
        ),
        ("import hpns.ingest", (*PAGES, *PAPERS, *TESTS, *MODELS, *SENDING, *STORES)),
        ("import hpns.asgi", (*PAGES, *PAPERS, *TESTS)),
        (TASKS, (*PAGES, *PAPERS, *TESTS)),
        ("import hpns.pages_process", ("fpdf", "fontTools", "facturx", *TESTS)),
    ],
    ids=["beat", "the web server's parent", "a web process", "worker", "pages process"],
)
def test_a_process_imports_nothing_that_it_does_not_need(program: str, without: tuple[str, ...]) -> None:
    code = f"{program}; import json, sys; print(json.dumps(sorted(sys.modules)))"
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert ran.returncode == 0, ran.stderr
    imported: list[str] = json.loads(ran.stdout.splitlines()[-1])
    found = [name for name in imported if any(name == each or name.startswith(f"{each}.") for each in without)]
    assert found == []
