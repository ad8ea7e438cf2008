"""The Django app "billing", whose system checks are registered when it is ready."""

from django.apps import AppConfig
from django.core.checks import Tags, register

from billing import checks
from billing.invoices import checks as invoice_checks


class BillingConfig(AppConfig):
    """See the package docstring for what this app owns."""

    name = "billing"

    def ready(self) -> None:
        """Register the checks of the settings that the canary and the status page read, and of those that invoices do
        (`billing.E701`...): what can be issued matters to a deployment only."""
        register(checks.settings_are_usable, Tags.security)
        register(checks.settings_are_for_production, Tags.security, deploy=True)
        register(invoice_checks.invoices_can_be_issued, deploy=True)
