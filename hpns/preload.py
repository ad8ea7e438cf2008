"""Programs that are loaded before they are begun: imported once, by the process whose copies they will be.

`load` imports their modules; in a copy, `become` reads the settings anew, out of what the environment is by then, and
runs one of them. Invariants: nothing of what is loaded has opened a connection or begun a thread, and nothing but the
databases' settings was looked at that the environment decides (tests/hpns/test_preload.py).
"""

import gc
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Final

import django
from django.conf import settings
from django.utils.functional import empty
from django.utils.module_loading import import_string

from hpns import forking
from hpns.processes import trim

WEB: Final = ("hpns.asgi", "hpns.pages_process", "hpns.urls")
"""What the children of the web server's parent are: web processes and the pages process, with all pages."""

# What keeps a setting for itself once it was asked for; a program that is loaded has asked for the databases.
_READ_ONCE: Final = ("django.db.connections", "django.core.cache.caches")


def load(*modules: str) -> None:
    """Import these modules and all that they need, and leave the memory tidy."""
    role = os.environ.get("DATABASE_ROLE")  # each program's module sets it
    gc.disable()
    for module in modules:
        importlib.import_module(module)
    gc.collect()
    gc.enable()
    trim()
    if role is not None:
        os.environ["DATABASE_ROLE"] = role


def launch(command: Sequence[str], descriptors: Sequence[int]) -> forking.Running:
    """Launch a program out of a copy of this process, which has loaded its module. Raises OSError, RuntimeError."""
    _python, _m, module, *arguments = command
    return forking.fork(lambda: become(module, arguments), module, descriptors)


def become(module: str, arguments: Sequence[str]) -> int:
    """Run a program that is loaded, with these arguments, under the settings of the environment as it is now."""
    program = sys.modules[module]
    os.environ["DATABASE_ROLE"] = program.DATABASE_ROLE
    sys.argv = [str(program.__file__), *arguments]
    read_settings()
    return int(program.main() or 0)


def read_settings() -> None:
    """Read the settings anew, and set up logging by them."""
    sys.modules.pop(os.environ["DJANGO_SETTINGS_MODULE"], None)
    settings._wrapped = empty  # forgets what was read
    for handler in map(import_string, _READ_ONCE):
        vars(handler).pop("settings", None)
        handler.__init__()  # forgets its connections, of which none was opened, and with them whose they are
    django.setup()
