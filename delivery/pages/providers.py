"""Apple and Google as all customers' pushes show them: /c/<slug>/delivery/providers/. No customer is recognisable."""

from django.http import HttpResponse
from django.shortcuts import render

from delivery.insight import providers, refusing
from delivery.insight.standing import Standing, milliseconds, percent
from tenants.pages.door import CustomerRequest, customer_page


@customer_page("delivery.see")
def provider_panel(request: CustomerRequest) -> HttpResponse:
    """How each provider stands now and over the last day, and the day's chart."""
    now, day = providers.provider_standings(), providers.provider_standings(providers.DAY)
    context = {
        "standings": now,
        "refusing": refusing.sentences(),
        "well": all(not each.is_the_provider for each in now),
        "columns": [
            {"label": "Provider"},
            {"label": "In the last"},
            {"label": "State"},
            {"label": "Handed off", "number": True},
            {"label": "Failed by it", "number": True},
            {"label": "Failed by us", "number": True},
            {"label": "p50", "number": True},
            {"label": "p95", "number": True},
        ],
        "rows": [_cells(each) for pair in zip(now, day, strict=True) for each in pair],
        "chart": providers.day_chart(),
    }
    return render(request, "delivery/deliveries/providers.html", context)


def _cells(each: Standing) -> list[object]:
    return [
        each.name,
        each.span,
        {"kind": each.kind, "text": each.word},
        percent(each.share),
        percent(each.theirs, up=True),
        percent(each.ours, up=True),
        milliseconds(each.p50),
        milliseconds(each.p95),
    ]
