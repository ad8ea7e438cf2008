"""What all of the staff's admin pages are made of: forms that save by services, pages to be read, and who sees what.

Invariant: no list can be searched, filtered or narrowed down in the URL by what its reader may not see: neither by a
secret, nor by a column of a model that their role does not include.
"""

import logging
from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.exceptions import DisallowedModelAdminLookup
from django.contrib.admin.utils import unquote
from django.core.exceptions import NON_FIELD_ERRORS, FieldDoesNotExist, PermissionDenied, ValidationError
from django.db import IntegrityError, models, transaction
from django.db.models.constraints import BaseConstraint
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.text import capfirst

from tenants import keys
from tenants.admin import history
from tenants.problem import ProblemError

log = logging.getLogger(__name__)
# For constraints without words of their own.
TOGETHER: Final = "These values do not go together, or others have them already: look at what stands below each field."
# Columns that no list may be narrowed down by: a secret, or its hash, could be guessed letter by letter.
SECRETS: Final = frozenset({"password", "sealed", "digest", "data", "session_key"})


def may_see(request: HttpRequest, model: type[models.Model]) -> bool:
    """Whether the reader's role includes looking at rows of a model."""
    opts = model._meta
    return any(request.user.has_perm(f"{opts.app_label}.{verb}_{opts.model_name}") for verb in ("view", "change"))


def may_reach(request: HttpRequest, model: type[models.Model], lookup: str) -> bool:
    """Whether the reader may see each model that a lookup (`servers__keys__prefix`) goes through or ends at."""
    there = model
    for name in lookup.split("__"):
        try:
            field = there._meta.get_field(name)
        except FieldDoesNotExist:  # "exact" and its like, or the column behind a foreign key
            break
        if field.related_model is None:
            break
        there = field.related_model
        if not may_see(request, there):
            return False
    return True


class PlainForm(forms.ModelForm):  # type: ignore[type-arg]
    """A model form that tells nobody the name of a constraint, which is Django's words for one without words.

    https://docs.djangoproject.com/en/5.2/ref/models/constraints/#violation-error-message
    """

    # What is said in its place; "": nothing.
    of_constraints = TOGETHER

    def _update_errors(self, errors: ValidationError) -> None:
        """As Django's; where something else is wrong already, that is what is said."""
        found = errors.error_dict if hasattr(errors, "error_dict") else {NON_FIELD_ERRORS: errors.error_list}
        plain = {name: [each for each in all_ if not _is_raw(each)] for name, all_ in found.items()}
        plain = {name: kept for name, kept in plain.items() if kept}
        if plain:
            super()._update_errors(ValidationError(plain))  # type: ignore[misc]
        elif not self.errors and self.of_constraints:
            self.add_error(None, self.of_constraints)


def _is_raw(error: ValidationError) -> bool:
    end = str(BaseConstraint.default_violation_error_message).rpartition("%(name)s")[2]
    return str(error.message).endswith(end)


# Django's admin classes take type arguments in the stubs only, not at run time.
class SecretSafeAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """A model admin whose lists cannot be searched or filtered by secrets, nor through models that the reader may not
    see; Django allows any column of a model, and of those beside it."""

    form = PlainForm

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """As Django's, but for SECRETS and what is not the reader's."""
        allowed = SECRETS.isdisjoint(lookup.split("__")) and may_reach(request, self.model, lookup)
        return allowed and super().lookup_allowed(lookup, value, request)

    def get_list_display(self, request: HttpRequest) -> Any:
        """As Django's; numbers read as on all other pages: 12,480."""
        return [self._grouped(each) for each in super().get_list_display(request)]

    def _grouped(self, name: Any) -> Any:
        """A column whose numbers are grouped, in the place of a field's that holds numbers which count something."""
        try:
            field = self.opts.get_field(name) if isinstance(name, str) else None
        except FieldDoesNotExist:
            field = None
        if not isinstance(field, models.IntegerField) or field.primary_key or field.choices or hasattr(self, str(name)):
            return name

        @admin.display(description=field.verbose_name, ordering=field.name, empty_value=self.get_empty_value_display())
        def column(row: models.Model) -> str | None:
            value = getattr(row, field.attname)
            return None if value is None else f"{value:,}"

        column.__name__ = field.name
        return column

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """As Django's. What it may not be narrowed down by is answered with the page of a 400 and a line of the log."""
        try:
            return super().get_changelist_instance(request)
        except DisallowedModelAdminLookup as error:
            log.warning("staff tried to narrow down a list by what it does not take: %s", error)
            raise

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """As Django's, but a key is found as pages show it (hk_abcd1234_...), too."""
        words = (keys.prefix(word) or word for word in search_term.split())
        return super().get_search_results(request, queryset, " ".join(words))

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """What the audit log tells of an object (tenants/admin/history.py)."""
        row = self.get_object(request, unquote(object_id))
        if row is None:
            messages.warning(request, f"There is no {self.opts.verbose_name} of this number: it may have been deleted.")
            return redirect("admin:index")
        if not self.has_view_or_change_permission(request, row):
            raise PermissionDenied
        events, whole = history.of(request, row)
        context: dict[str, Any] = {
            **self.admin_site.each_context(request),
            "title": f"History: {row}",
            "events": events,
            "whole": whole,
            "most": history.SHOWN,
            "module_name": capfirst(str(self.opts.verbose_name_plural)),
            "object": row,
            "opts": self.opts,
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/audit_history.html", context)

    def get_search_fields(self, request: HttpRequest) -> list[str]:
        """Those that the reader may see."""
        found = super().get_search_fields(request)
        return [name for name in found if may_reach(request, self.model, name.lstrip("^=@"))]

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        """The same; a filter of a class of its own, on its own model, stays."""
        found = []
        for each in super().get_list_filter(request):
            name = each[0] if isinstance(each, tuple | list) else each
            if not isinstance(name, str) or may_reach(request, self.model, name):
                found.append(each)
        return found


class ServiceForm(PlainForm):
    """A model form whose rows are created and changed by services."""

    # Services check that, after they have filled in what may be left out; clean() has asked them.
    of_constraints = ""

    def clean(self) -> dict[str, Any]:
        """Validate by a dry run in a transaction that is rolled back: what would go wrong is an error of the form."""
        given: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                with transaction.atomic():
                    self.apply(given)
                    transaction.set_rollback(True)
            except ProblemError as problem:
                self.add_error(self.error_field(given), problem.sentence)
            except IntegrityError:
                self.add_error(None, TOGETHER)
        return given

    def error_field(self, given: dict[str, Any]) -> str | None:
        """The field that a problem is an error of; None: the form's own."""
        return None

    def apply(self, given: dict[str, Any]) -> models.Model:
        """Apply the form by its services; returns the row. Raises ProblemError."""
        raise NotImplementedError


class ServiceAdmin(SecretSafeAdmin):
    """A model admin that saves by a ServiceForm and deletes nothing, because the delivery log points here."""

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """What the form's services do, and nothing beside them."""
        obj.__dict__.update(form.apply(form.cleaned_data).__dict__)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never: suspend, disable or revoke instead."""
        return False


class ReadOnlyAdmin(SecretSafeAdmin):
    """A read-only model admin: no form may create, change or delete its rows."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never: revoke instead, or let it go with what it belongs to."""
        return False
