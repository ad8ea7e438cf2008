"""What a scene has beside the cast of the stage: more customers, and processes whose clock and names may be bent."""

from typing import Final

MORE: Final = """
import json, os, sys
from pathlib import Path
import django
django.setup()
from billing import customers
from delivery.sandbox import demo
from tenants import services
from tenants.providers import apple_files, google_files
from tests.settled import settle_credentials
folder = Path(sys.argv[1])
key = (folder / f"AuthKey_{demo.KEY_ID}.p8").read_bytes()
apple = apple_files.apple_key(key, key_id=demo.KEY_ID, team_id=demo.TEAM_ID)
made = demo.make(folder, os.environ["GOOGLE_TOKEN_ORIGIN"])
uris = [os.environ["GOOGLE_TOKEN_ORIGIN"] + "/token"]
google = google_files.service_account(made.service_account.read_bytes(), token_uris=uris)
keys = {}
for name in ("Birch", "Cedar"):
    customer = customers.add(name=name, offer="eas").row
    for label, parsed in (("apple_rn", apple), ("android_rn", google)):
        app = services.app_add(label=label, topic="com.mattermost.rn", customer=customer).row
        services.credential_add(app=app, parsed=parsed)
    server = services.server_add(customer=customer, name=f"chat.{name.lower()}.example").row
    keys[name] = services.key_add(server=server).text
settle_credentials()
print(json.dumps(keys))
"""
"""Run in the service's environment with the folder of the demo credentials; prints the new customers' keys by name."""
BENT: Final = """
import asyncio, time
import uvloop
_true, _resolve = time.time, uvloop.Loop.getaddrinfo
_clock, _names = {clock!r}, {names!r}
def _read(path):
    with open(path) as file:
        return file.read().strip()
def _set():
    return _true() + float(_read(_clock))
async def _bent(self, host, port, **options):
    word = _read(_names)
    if word == "silent":
        await asyncio.sleep(3600)
    return await _resolve(self, word or host, port, **options)
time.time = _set
uvloop.Loop.getaddrinfo = _bent
"""
"""A sitecustomize module by which files set the clock of a process, and what names mean to it."""
