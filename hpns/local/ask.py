"""One HTTP request to a process of ours on this machine, past any proxy that the environment names."""

import http.client
import json
import ssl
from typing import Any


def request(
    method: str, port: int, path: str, body: str | None = None, seconds: float = 10.0, *, tls: bool = False
) -> tuple[int, Any]:
    """Status and decoded JSON of an answer; (0, reason) when there is none, (status, text) when it is no JSON.

    tls: by HTTPS, whatever the certificate: it is a process of ours, and names no loopback address.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    if tls:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=seconds, context=context)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        return 0, str(error)
    finally:
        connection.close()
    try:
        return answer.status, json.loads(text)
    except ValueError:
        return answer.status, text
