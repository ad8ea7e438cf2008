"""Start-up check of the settings of every part, the web process, the worker and the timetable: it names what is missing
or cannot be meant, and ends.

Invariant: a setting that is wrong is wrong in every part, so that nobody learns of it from pushes that fail. Stores
that are away are waited for, and a file that is meant for another part, such as the front door's certificate, stops
nobody else.
"""

import sys
from typing import Final

from delivery import checks as delivery_checks
from hpns.checks import settings
from tenants import checks as tenants_checks

EVERYWHERE: Final = (
    tenants_checks.secrets_are_set,
    settings.settings_are_usable,
    delivery_checks.settings_are_usable,
    tenants_checks.agreement_years_are_valid,
)


PROVIDERS_FILE: Final = "delivery.E002"
"""The check of the file that those who send to providers need, and the timetable does not."""


def stop_unless_set_up(*, sends: bool = True) -> None:
    """End the program with one line per setting that is missing or unusable, instead of a traceback later.

    sends: whether this part sends to providers.
    """
    found = [message for check in EVERYWHERE for message in check(None)]
    wrong = [each for each in found if each.is_serious() and not each.is_silenced()]
    if not sends:
        wrong = [each for each in wrong if each.id != PROVIDERS_FILE]
    if wrong:
        sys.exit("\n".join(f"{each.msg} {each.hint or ''}".rstrip() for each in wrong))
