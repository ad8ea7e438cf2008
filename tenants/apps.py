"""The Django app "tenants". Its system checks are registered when it is ready."""

from django.apps import AppConfig
from django.core.checks import Tags, register

from tenants import checks


class TenantsConfig(AppConfig):
    """Registers the app and its checks (`tenants.E001`...)."""

    name = "tenants"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the checks of the secrets in the settings; weak ones matter to a deployment only."""
        register(checks.secrets_are_set, Tags.security)
        register(checks.secrets_are_not_for_trying_out, Tags.security, deploy=True)
