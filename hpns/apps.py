"""The Django app "hpns", whose system checks are registered when it is ready, and the admin site of the staff."""

from typing import Final

from django.apps import AppConfig
from django.conf import settings
from django.contrib.admin.apps import AdminConfig
from django.core.checks import Tags, register
from django.utils.module_loading import import_string

from hpns.checks import roles, stores, tls
from hpns.checks import settings as settings_checks

# The roles of processes that show no pages (DATABASE_ROLE).
WITHOUT_PAGES: Final = ("web", "worker")


class HpnsConfig(AppConfig):
    """Registers the app and its checks (`hpns.E001`...)."""

    name = "hpns"

    def ready(self) -> None:
        """Register the checks; those that ask the servers run where a database is named (migrate, check --database)."""
        register(settings_checks.settings_are_usable, Tags.security)
        register(settings_checks.settings_are_for_production, Tags.security, deploy=True)
        register(roles.roles_are_named, Tags.security, deploy=True)
        register(roles.roles_are_fit, Tags.database, deploy=True)
        register(tls.certificate_is_usable, Tags.security)
        register(stores.postgres_is_fit, Tags.database)
        register(stores.valkey_is_durable, Tags.database, deploy=True)
        # Of models, which are there only now.
        import_string("hpns.watching.announcements.connect")()


class StaffAdminConfig(AdminConfig):
    """Django's admin, whose site lets staff in with a second factor only."""

    default_site = "hpns.pages.staff_site.StaffSite"

    def ready(self) -> None:
        """Import the apps' admin modules, and with them most pages: not in processes that show none, in which
        hpns/urls.py does it when an address is asked for."""
        if settings.DATABASE_ROLE not in WITHOUT_PAGES:
            super().ready()
