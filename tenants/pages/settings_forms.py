"""The forms of a customer's settings."""

from django import forms

from tenants.models import Customer
from tenants.pages.forms import LinesField

# What a person decides between, in the words of what the phone will show.
CONTENT = (
    (Customer.Content.AS_SENT, "As the server sends it: the text that Mattermost puts into the push"),
    (Customer.Content.GENERIC, "No text: the phone says that there is a new message, and nothing of it"),
    (
        Customer.Content.ID_ONLY,
        "No text, and the app fetches it from your server (needs a Mattermost licence with ID-only push notifications)",
    ),
)


class NameForm(forms.Form):
    """The customer's name."""

    name = forms.CharField(max_length=200, label="Name", help_text="Shown to your people and to the operator's staff.")


class ContentForm(forms.Form):
    """What of a push's text goes to Apple and Google."""

    content = forms.ChoiceField(choices=CONTENT, widget=forms.RadioSelect, label="Text of notifications")


class ContactsForm(forms.Form):
    """Who is written to about credentials."""

    contacts = LinesField(
        rows=3,
        label="E-mail addresses",
        help_text="One a line. They are told when a credential will end, or is refused by Apple or Google.",
    )
