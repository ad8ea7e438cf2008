"""The Django app "delivery". Its system checks are registered when it is ready."""

from django.apps import AppConfig
from django.core.checks import Tags, register

from delivery import checks


class DeliveryConfig(AppConfig):
    """Registers the app and its checks (`delivery.E001`...)."""

    name = "delivery"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the checks of the settings that the path of a push reads."""
        register(checks.settings_are_usable, Tags.security)
