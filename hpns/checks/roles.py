"""System checks of the roles in the database, for a deployment: is row-level security in force for the pages?"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from django.apps.config import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.db import Error as DatabaseError
from django.db import connections

from hpns import database_roles

MAKE: Final = "Run manage.py database_roles, as the owner of the database."
_WHY_OWN: Final = {
    "PAGES_DATABASE_URL": "row-level security does not hold the pages",
    "WORKER_DATABASE_URL": "row-level security does not hold the pages",
    "DIRECTORY_DATABASE_URL": "web and pages processes, which strangers reach, read the directory as who may write",
}
_ROLE_QUERY: Final = (
    "SELECT rolsuper, rolbypassrls, "
    "EXISTS (SELECT FROM pg_class WHERE relowner = pg_roles.oid AND relkind IN ('r', 'p')) "
    "FROM pg_roles WHERE rolname = %s"
)


def roles_are_named(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """E039: a role without a URL of its own, or with that of another."""
    found: list[CheckMessage] = []
    owner = _user(settings.DATABASE_URL)
    seen = {owner}
    for name, url in (
        ("PAGES_DATABASE_URL", settings.PAGES_DATABASE_URL),
        ("WORKER_DATABASE_URL", settings.WORKER_DATABASE_URL),
        ("DIRECTORY_DATABASE_URL", settings.DIRECTORY_DATABASE_URL),
    ):
        user = _user(url) or owner
        if user in seen:
            text = f"{name} names no user of its own: {_WHY_OWN[name]}."
            hint = f"Set it to DATABASE_URL with another user and password. Then: {MAKE}"
            found.append(Error(text, hint=hint, id="hpns.E039"))
        seen.add(user)
    return found


def _user(url: str) -> str:
    try:
        return database_roles.login(url, bypasses=False).name
    except ValueError:
        return ""  # hpns.E004 says so


def roles_are_fit(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """E035: the pages' role is above row-level security; E036: another is below it; E037: one is missing."""
    if not databases or "default" not in databases:
        return []
    named = (
        (settings.PAGES_DATABASE_URL, False),
        (settings.WORKER_DATABASE_URL, True),
        (settings.DIRECTORY_DATABASE_URL, True),
    )
    try:
        return [
            message for url, bypasses in named if url for message in _role(database_roles.login(url, bypasses=bypasses))
        ]
    except DatabaseError:
        return []  # hpns.E030 has said so


def _role(role: database_roles.Login) -> Iterator[CheckMessage]:
    with connections["default"].cursor() as cursor:
        cursor.execute(_ROLE_QUERY, [role.name])
        row = cursor.fetchone()
    if row is None:
        yield Error(f"The database has no role {role.name}.", hint=MAKE, id="hpns.E037")
        return
    is_super, bypasses, owns = row
    if not role.bypasses and (is_super or bypasses or owns):
        why = "is a superuser" if is_super else "has BYPASSRLS" if bypasses else "owns tables"
        text = f"The pages' role {role.name} {why}: row-level security does not hold it."
        hint = f"Name another user in PAGES_DATABASE_URL. Then: {MAKE}" if is_super or owns else MAKE
        yield Error(text, hint=hint, id="hpns.E035")
    if role.bypasses and not (is_super or bypasses):
        text = f"The role {role.name} has no BYPASSRLS: it can neither write the log nor know the keys."
        yield Error(text, hint=MAKE, id="hpns.E036")
