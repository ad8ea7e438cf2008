"""What was found out of the key that came last on a connection. Pure data."""


class KnownKey:
    """The key of a connection's last request: where it stood, its prefix, and its digest.

    A server keeps its connections and sends the same key on each, and to find, to check and to hash it takes longer
    than all else that lets somebody in. Whose it is, and whether it counts, is looked up anew for each request. Nothing
    is kept longer than the connection is open.
    """

    __slots__ = ("authorization", "digest", "path", "prefix")

    def __init__(self) -> None:
        self.path = self.prefix = ""
        self.authorization: str | None = None
        self.digest = b""
