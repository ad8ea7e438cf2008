"""The Django app "billing". Its system checks are registered when it is ready."""

from django.apps import AppConfig
from django.core.checks import register
from django.utils.module_loading import import_string


class BillingConfig(AppConfig):
    """See the package docstring for what this app owns."""

    name = "billing"

    def ready(self) -> None:
        """Register the checks (`billing.E001`...)."""
        # Models can be imported from here on only.
        register(import_string("billing.checks.licence_keys_are_usable"))
