"""System check of what invoices need: the seller's details, and the font that a setting names."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from django.apps.config import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Info

from billing.invoices import seller


def invoices_can_be_issued(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """billing.I701: SELLER is empty: whoever bills nobody needs none; E701: it is wrong; E702: no such font."""
    return [*_seller(), *_font()]


def _seller() -> Iterator[CheckMessage]:
    if not settings.SELLER:
        hint = "Set it as .env.example shows, before the first invoice."
        yield Info("SELLER is not set: no invoice can be issued.", hint=hint, id="billing.I701")
        return
    for problem in seller.problems():
        yield Error(f"{problem}: no invoice can be issued.", hint=".env.example shows SELLER.", id="billing.E701")


def _font() -> Iterator[CheckMessage]:
    if settings.INVOICE_FONT and not Path(settings.INVOICE_FONT).is_file():
        text = f"INVOICE_FONT names {settings.INVOICE_FONT}, which is no file that can be read."
        yield Error(text, hint="Name a TrueType or OpenType file, or leave it empty.", id="billing.E702")
