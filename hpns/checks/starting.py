"""Start-up check of the settings without which a web process or a worker can do nothing: it names them, and ends.

Invariant: only what every process needs is looked at. Stores that are away are waited for, and a file that is meant for
another part, such as the front door's certificate, stops nobody else.
"""

import sys

from hpns.checks import settings
from tenants.checks import secrets_are_set


def stop_unless_set_up() -> None:
    """End the program with one line per setting that is missing or unusable, instead of a traceback later."""
    found = [*secrets_are_set(None), *settings.settings_are_usable(None)]
    if wrong := [each for each in found if each.is_serious() and not each.is_silenced()]:
        sys.exit("\n".join(f"{each.msg} {each.hint or ''}".rstrip() for each in wrong))
