"""What the table of a customer's export is made of: a file's name and fields, as kinds.py and pushes.py list them."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from tenants.fence import TenantModel


class Field(NamedTuple):
    """A member of each line: its name, what it means, where it is found from the row (default: by its name), and what
    is made of it there."""

    name: str
    description: str
    path: str = ""
    convert: Callable[[Any], Any] = lambda value: value

    @property
    def source(self) -> str:
        """The lookup of Django's values()."""
        return self.path or self.name


class Kind(NamedTuple):
    """A file of the archive: its name, what a line is, the model and its way to the customer's id, and the fields."""

    file: str
    description: str
    model: type[TenantModel]
    owner: str
    fields: tuple[Field, ...]


ID: Final = Field("id", "what other files refer to")
