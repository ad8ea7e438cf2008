"""The Django app "billing", whose system checks are registered when it is ready."""

from django.apps import AppConfig
from django.core.checks import Tags, register
from django.utils.module_loading import import_string


class BillingConfig(AppConfig):
    """See the package docstring for what this app owns."""

    name = "billing"

    def ready(self) -> None:
        """Register the checks of the settings that the canary, the status page, licences and invoices read."""
        # Models can be imported from here on only.
        import_string("billing.wiring.wire")()
        register(import_string("billing.checks.settings_are_usable"), Tags.security)
        register(import_string("billing.checks.licence_keys_are_usable"))
        register(import_string("billing.checks.settings_are_for_production"), Tags.security, deploy=True)
        # What can be issued matters to a deployment only.
        register(import_string("billing.invoices.checks.invoices_can_be_issued"), deploy=True)
