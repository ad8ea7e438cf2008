"""The Django app "billing". Its system checks are registered when it is ready."""

from django.apps import AppConfig
from django.core.checks import register

from billing.invoices import checks


class BillingConfig(AppConfig):
    """See the package docstring for what this app owns."""

    name = "billing"

    def ready(self) -> None:
        """Register the checks (`billing.E701`...); what can be issued matters to a deployment only."""
        register(checks.invoices_can_be_issued, deploy=True)
