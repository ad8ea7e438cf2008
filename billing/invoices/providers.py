"""The payment port: what a way of paying offers, and the manual one. Pure."""

from typing import Final, Protocol

from billing.invoices.document import Document


def grouped(iban: str) -> str:
    """An IBAN as people read it, in groups of four."""
    return " ".join(iban[at : at + 4] for at in range(0, len(iban), 4))


class PaymentProvider(Protocol):
    """What a way of paying has to offer. A payment that it learns of goes to record()."""

    name: str

    def instructions(self, document: Document) -> list[tuple[str, str]]:
        """How to pay a document: labels and values, in order."""
        ...


class Manual:
    """Bank transfer: the customer pays to the account on the invoice, and staff enter what has arrived."""

    name = "manual"

    def instructions(self, document: Document) -> list[tuple[str, str]]:
        """The account, and what to write on the transfer."""
        rows = [
            ("Account holder", document.seller.name),
            ("IBAN", grouped(document.bank.iban)),
            ("BIC", document.bank.bic),
            ("Bank", document.bank.name),
            ("Reference", document.number),
        ]
        return [(label, value) for label, value in rows if value]


PROVIDERS: Final[dict[str, PaymentProvider]] = {"manual": Manual()}
