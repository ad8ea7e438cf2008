"""What web processes and the pages process agree on beyond HTTP: who asks, where to ask, and a sign of life."""

from typing import Final

# In the environment of web processes: the path of the pages process's Unix socket. Set by their parent.
SOCKET_VARIABLE: Final = "HPNS_PAGES_SOCKET"
# "SCHEME ADDRESS PORT" of the client, "-" for an address that is not known: ASGI's `scheme` and `client`. The web
# process leaves out what a client sent under this name, and the pages process is reached by web processes alone.
CLIENT_HEADER: Final = b"x-hpns-client"
# A path that the pages process answers with 204 by itself, asked without that header.
PROBE: Final = "/probe"
