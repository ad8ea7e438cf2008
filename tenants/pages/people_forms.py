"""The forms of a customer's people page."""

from typing import Any

from django import forms

from tenants.models import Role

MEANINGS = {
    Role.OWNER: "Owner: everything, owners and erasing too",
    Role.ADMIN: "Admin: servers, keys, apps, credentials and people",
    Role.VIEWER: "Viewer: sees everything, changes nothing",
}


def roles(*, owner: bool) -> list[tuple[str, str]]:
    """The roles that somebody may give: the owner's only if they are `owner` themselves."""
    return [(str(role), text) for role, text in MEANINGS.items() if owner or role != Role.OWNER]


class InviteForm(forms.Form):
    """Whom to invite, as what."""

    email = forms.EmailField(label="E-mail address", max_length=254)
    role = forms.ChoiceField(label="Role", initial=str(Role.VIEWER))

    def __init__(self, *args: Any, owner: bool, **kwargs: Any) -> None:
        """`owner`: whether the one who invites may make owners."""
        super().__init__(*args, **kwargs)
        field = self.fields["role"]
        if isinstance(field, forms.ChoiceField):
            field.choices = roles(owner=owner)


class RoleForm(forms.Form):
    """Another role for a member."""

    role = forms.ChoiceField(label="Role", choices=roles(owner=True))
