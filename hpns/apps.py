"""The Django app "hpns", whose system checks are registered when it is ready, and the admin site of the staff."""

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig
from django.core.checks import Tags, register
from django.utils.module_loading import import_string

from hpns.checks import roles, settings, stores, tls


class HpnsConfig(AppConfig):
    """Registers the app and its checks (`hpns.E001`...)."""

    name = "hpns"

    def ready(self) -> None:
        """Register the checks; those that ask the servers run where a database is named (migrate, check --database)."""
        register(settings.settings_are_usable, Tags.security)
        register(settings.settings_are_for_production, Tags.security, deploy=True)
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
