"""The start-up check (starting.py) in a child, for processes that need none of what it reads: with the child goes what
it has imported, which is twice as much as they have themselves.
"""

import os
import sys
import traceback

from django.utils.module_loading import import_string


def stop_unless_set_up(*, sends: bool = True) -> None:
    """The same as starting.stop_unless_set_up(). To be called before anything that starts a thread."""
    child = os.fork()
    if child == 0:
        os._exit(_check(sends=sends))
    if code := os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        sys.exit(code)


def _check(*, sends: bool) -> int:
    """Do it; the exit code. Whatever is to be said is said."""
    try:
        import_string("hpns.checks.starting.stop_unless_set_up")(sends=sends)
    except SystemExit as stopped:
        sys.stderr.write(f"{stopped.code}\n")
        return 1
    except BaseException:  # noqa: BLE001  a child must not go on as if it were its parent
        traceback.print_exc()
        return 1
    finally:
        sys.stderr.flush()
    return 0
