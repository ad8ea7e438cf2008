"""What the tests of both providers' bodies share: ids, texts of every kind, the comparison with the reference."""

from collections.abc import Callable
from typing import Any, Final

from hypothesis import strategies as st

from delivery.protocol.wire import Push
from tests.vectors import compare
from tests.vectors.differences import BODIES

IDS: Final = {"ack_id": "ack", "server_id": "srv", "channel_id": "chan", "signature": "a.b.c", "version": "v2"}

texts = st.text() | st.text(alphabet='"\\\n\x01\x7f\u20ac\U0001f600\U0001f3fd\u200d\u0301\U0001f1e9:', max_size=50)
long_texts = st.tuples(texts, st.integers(1, 3000)).map(lambda pair: pair[0] * pair[1])


def pushes_with_text(make: Callable[..., Push]) -> "st.SearchStrategy[Push]":
    """Pushes with any text and name, made by `make` of what is given here."""
    kinds, flags = st.sampled_from(["message", "session"]), st.booleans()
    return st.builds(make, message=long_texts, channel_name=texts, type=kinds, is_id_loaded=flags)


def assert_recorded(
    provider: str,
    made: Callable[[Push], dict[str, Any] | None],
    record_property: Callable[[str, object], None],
    agree: int,
) -> None:
    """Every recorded body for a provider is what `made` makes of its push (None: nothing that may be sent), more than
    `agree` of them to the letter; the others differ as tests/vectors/differences.py says, which has no row that
    explains nothing."""
    result = compare.bodies(provider, made, BODIES)
    record_property("count", f"Bodies for {provider}: {result}")
    assert not result.unexplained, "\n".join(result.unexplained[:5])
    assert not compare.idle(result, provider, BODIES)
    assert result.agree > agree
