"""`manage.py database_roles`: makes the logins of the pages, the worker and the directory, and gives them rights."""

from typing import Any, Final

import psycopg
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection, transaction
from psycopg import sql

from hpns import database_roles
from hpns.database_roles import Login

_SHOULD_BE: Final = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION"


class Command(BaseCommand):
    """See above. Run again it changes nothing; after a migration it gives rights to the new tables."""

    help = "Make the logins that PAGES_, WORKER_ and DIRECTORY_DATABASE_URL name, and give them their rights."

    def handle(self, *args: Any, **options: Any) -> None:
        """Raises CommandError with what an administrator of the database has to do."""
        wanted = (
            (database_roles.PAGES, settings.PAGES_DATABASE_URL, False),
            (database_roles.WORKER, settings.WORKER_DATABASE_URL, True),
            (database_roles.DIRECTORY, settings.DIRECTORY_DATABASE_URL, True),
        )
        made = []
        for kind, url, bypasses in wanted:
            if not url:
                continue
            role = database_roles.login(url, bypasses=bypasses)
            if not role.name or not role.password:
                raise CommandError(f"{kind.upper()}_DATABASE_URL must name a user and a password.")
            if role.name == connection.settings_dict["USER"] or role.name in made:
                raise CommandError(f"{kind.upper()}_DATABASE_URL names {role.name}: each role needs a user of its own.")
            made.append(role.name)
            with transaction.atomic(), connection.cursor() as cursor:
                # Two at once would get into each other's way.
                cursor.execute("SELECT pg_advisory_xact_lock(hashtext('hpns roles'))")
                if not _is_as_wanted(cursor, role, url):
                    _make(cursor, role)
                missing = set(database_roles.GRANTS) - database_roles.tables(cursor)
                if missing:
                    raise CommandError(f"There is no table {min(missing)} yet: run manage.py migrate first.")
                for statement in database_roles.grants(role.name, kind):
                    cursor.execute(statement)
        if options["verbosity"]:
            created = ", ".join(made) or "none; everything runs as the owner, and row-level security binds nobody"
            self.stdout.write(f"Roles: {created}.")


def _is_as_wanted(cursor: Any, role: Login, url: str) -> bool:
    """Whether the role is there and lets itself be logged in by its URL: an administrator may have made it."""
    cursor.execute("SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = %s", [role.name])
    if cursor.fetchone() != (False, role.bypasses):
        return False
    try:
        psycopg.connect(url, connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True


def _make(cursor: Any, role: Login) -> None:
    """Make or mend the role. The password goes to the server as its hash, for statements may be logged."""
    secret = cursor.connection.pgconn.encrypt_password(role.password.encode(), role.name.encode(), b"scram-sha-256")
    cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role.name])
    verb = "ALTER" if cursor.fetchone() else "CREATE"
    is_to_be = f"{_SHOULD_BE} {'BYPASSRLS' if role.bypasses else 'NOBYPASSRLS'}"
    statement = sql.SQL("{} ROLE {} WITH {} PASSWORD {}").format(
        sql.SQL(verb), sql.Identifier(role.name), sql.SQL(is_to_be), sql.Literal(secret.decode())
    )
    try:
        with transaction.atomic():
            cursor.execute(statement)
    except DatabaseError as error:
        raise CommandError(
            f"The role {role.name} cannot be made: {str(error).splitlines()[0]}. Let DATABASE_URL name a superuser, or "
            f"let an administrator run: {verb} ROLE {role.name} WITH {is_to_be} PASSWORD '...'; then run this again."
        ) from error
