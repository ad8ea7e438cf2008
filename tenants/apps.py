"""The Django app "tenants". Its system checks are registered when it is ready."""

from django.apps import AppConfig
from django.core.checks import Tags, register
from django.db.models.signals import post_migrate
from django.utils.module_loading import import_string

from tenants import checks


class TenantsConfig(AppConfig):
    """Registers the app and its checks (`tenants.E001`...)."""

    name = "tenants"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the checks of the secrets in the settings (weak ones matter to a deployment only), and listen to
        what happens to accounts."""
        register(checks.secrets_are_set, Tags.security)
        register(checks.agreement_years_are_valid)
        register(checks.site_ca_file_is_readable)
        register(checks.secrets_are_not_for_trying_out, Tags.security, deploy=True)
        # Models can be imported from here on only.
        import_string("tenants.accounts.audit_signals.connect")()
        # Of this app, the last one with models: by then all permissions are there.
        post_migrate.connect(import_string("tenants.services.staff.after_migrate"), sender=self)
