"""URLs of the pages for servers and keys."""

from django.urls import path

from tenants.pages import server_proofs, server_states
from tenants.pages import servers as views

_ONE = "c/<slug:slug>/servers/<uuid:server>/"

urlpatterns = [
    path("c/<slug:slug>/servers/", views.servers, name="servers"),
    path(_ONE, views.server, name="server"),
    path(f"{_ONE}arrived/", views.arrived, name="server-arrived"),
    path(f"{_ONE}rename/", views.rename, name="server-rename"),
    path(f"{_ONE}disable/", server_states.disable, name="server-disable"),
    path(f"{_ONE}enable/", server_states.enable, name="server-enable"),
    path(f"{_ONE}remove/", server_states.remove, name="server-remove"),
    path(f"{_ONE}networks/", views.networks, name="server-networks"),
    path(f"{_ONE}site/", views.site, name="server-site"),
    path(f"{_ONE}site/paste/", server_proofs.paste, name="server-site-paste"),
    path(f"{_ONE}site/forget/", server_proofs.forget, name="server-site-forget"),
    path(f"{_ONE}ids/", views.server_ids, name="server-ids"),
    path(f"{_ONE}ids/<int:server_id>/remove/", views.server_id_remove, name="server-id-remove"),
    path(f"{_ONE}keys/", views.keys, name="server-keys"),
    path(f"{_ONE}keys/<str:prefix>/revoke/", views.revoke, name="key-revoke"),
]
