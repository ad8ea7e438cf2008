"""The part of a server's page that says who it is, and what fetches or takes the documents of its site."""

import uuid
from typing import Any, Final, NamedTuple

from django import forms
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render

from tenants.models import Finding, Proof, Server, Site
from tenants.pages.door import CustomerRequest, customer_page
from tenants.pages.forms import saved
from tenants.proofs import findings, reading, sites
from tenants.proofs.documents import CONFIG_PATH, LICENCE_PATH, SIZE_MAX
from tenants.proofs.reading import Level, Step
from tenants.proofs.signatures import fingerprint
from tenants.proofs.words import Words, told

PASTE: Final = "tenants/servers/paste.html"
# What tells a key that is used with several server_ids apart.
_OF_KEYS: Final = (Finding.Kind.LEAKED_KEY, Finding.Kind.RESTORED_BACKUP)


class SiteForm(forms.Form):
    """Where a server's site is."""

    address = forms.CharField(
        max_length=300,
        label="Address of the site",
        help_text="As in Mattermost's Site URL, such as https://chat.example.com.",
        widget=forms.TextInput(attrs={"inputmode": "url", "autocapitalize": "off", "spellcheck": "false"}),
    )


class DocumentsForm(forms.Form):
    """The two documents, copied from a browser."""

    config = forms.CharField(
        max_length=SIZE_MAX,
        label="Configuration",
        help_text="All that the first address shows, from { to }.",
        widget=forms.Textarea(attrs={"rows": 6, "spellcheck": "false", "autocapitalize": "off"}),
    )
    licence = forms.CharField(
        max_length=SIZE_MAX,
        required=False,
        label="Licence",
        help_text="All that the second address shows.",
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false", "autocapitalize": "off"}),
    )


class LevelLine(NamedTuple):
    """One level as the page lists it."""

    name: str
    meaning: str
    reached: bool
    current: bool


_MEANINGS: Final = (
    (Step.CLAIMED, "Claimed", "Somebody has typed in its server ID or its address."),
    (Step.SEEN, "Seen", "The documents of its site say which server ID, signing key and licence it has."),
    (Step.PROVEN, "Proven", "Pushes with its key are signed by this very installation."),
    (Step.LICENSED, "Licensed", "A licence is proven for it, and its site names the same."),
)


def identity(server: Server, form: forms.Form | None = None) -> dict[str, Any]:
    """What the template of this part shows of a server; `form`: a SiteForm that somebody has filled in wrongly."""
    level = reading.level(server)
    site = Site.objects.filter(server=server).first()
    key = level.proof.public_key if level.proof else level.site.public_key if level.site else ""
    return {
        "level": level,
        "levels": [
            # Pushes can prove a key that no site was asked for.
            LevelLine(name, text, step <= level.step and (step != Step.SEEN or bool(level.site)), step == level.step)
            for step, name, text in _MEANINGS
        ],
        "known_site": site,
        "signing_key": fingerprint(key) if key else "",
        "by_site": _is_by_site(level),
        "proven_ids": set(
            Proof.objects.filter(Proof.standing(), key__server=server).values_list("mattermost_id", flat=True)
        ),
        "site_form": form or SiteForm(initial={"address": f"https://{site.address}" if site and site.address else ""}),
    }


def _is_by_site(level: Level) -> bool:
    """Whether the proven key is the one that the site has now."""
    return bool(level.proof and level.site and level.proof.public_key == level.site.public_key)


def told_of_keys(server: Server) -> dict[int | None, Words]:
    """By the id of a key, what was found of it."""
    rows = findings.living(server).filter(kind__in=_OF_KEYS)
    return {row.key_id: told(row) for row in rows}


def find(public_id: uuid.UUID) -> Server:
    """The server of this public id, in the customer's scope. Raises Http404."""
    found = Server.of_people().filter(public_id=public_id).select_related("customer").first()
    if found is None:
        raise Http404
    return found


@customer_page("server.change", methods=("GET", "HEAD", "POST"))
def paste(request: CustomerRequest, server: uuid.UUID) -> HttpResponse:
    """Take the documents of a site that we cannot reach."""
    row = find(server)
    form = DocumentsForm(request.POST or None)
    if request.method == "POST" and saved(
        request,
        form,
        lambda: sites.paste(server=row, config=form.cleaned_data["config"], licence=form.cleaned_data["licence"]),
    ):
        return redirect("server", request.customer.slug, row.public_id)
    known = Site.objects.filter(server=row).first()
    address = (known.address or known.site_url.removeprefix("https://")) if known else ""
    base = f"https://{address or 'chat.example.com'}".rstrip("/")
    context = {"server": row, "form": form, "config_url": base + CONFIG_PATH, "licence_url": base + LICENCE_PATH}
    return render(request, PASTE, context)


@customer_page("server.change", methods=("POST",))
def forget(request: CustomerRequest, server: uuid.UUID) -> HttpResponse:
    """Fetch the server's site no more."""
    row = find(server)
    _, changed = sites.forget(server=row)
    messages.success(request, "Its site is fetched no more." if changed else "It was not fetched.")
    return redirect("server", request.customer.slug, row.public_id)
