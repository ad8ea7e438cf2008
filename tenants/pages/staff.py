"""Admin site of the staff: its pages run in the scope of everything, with the actor for the audit log."""

from functools import wraps
from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponseBase

from tenants import scope
from tenants.audit import actors, recording
from tenants.pages.door import rendered


class StaffPages(AdminSite):
    """An admin site whose pages run in the staff scope, once its has_permission has granted access."""

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """As Django's."""

        @wraps(view)
        def in_staff_scope(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            with scope.staff(), recording.acting(actors.of(request)):
                return rendered(view(request, *args, **kwargs))

        return super().admin_view(in_staff_scope, cacheable)
