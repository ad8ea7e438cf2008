"""The rows of differences.py about what is no push: bodies that cannot be read, paths and methods."""

from tests.vectors.difference import Difference

DIFFERENCES = (
    Difference(
        tag="gzip_body",
        about="^A gzip body",
        instead="A body that says it is gzip is unpacked.",
        why="The header says so; the reference does not look at it.",
        expected={"verdict": "OK", "requests": 1, "code": ""},
    ),
    Difference(
        tag="gzip_body",
        about="plain body",
        instead="A body, of a push or an ack, is what its Content-Encoding says (gzip, identity), or it is FAIL.",
        why="It is not what its sender said; the reference looks at no Content-Encoding.",
        expected={"verdict": "FAIL", "requests": 0, "code": "malformed"},
    ),
    Difference(
        tag="cut_upload",
        about="than the body",
        instead="A body shorter than its Content-Length is FAIL.",
        why="Nobody knows what is missing.",
        expected={"verdict": "FAIL", "requests": 0, "code": "malformed"},
    ),
    Difference(
        tag="paths",
        about="^[A-Z]+ /api/v1/send_push$",
        instead="A wrong method is 405 on both endpoints.",
        why="404 would say that there is no such path.",
        expected={"status": 405},
    ),
    Difference(
        tag="paths",
        names=("POST /api/v2/send_push", "POST /send_push"),
        about="^POST (.*//|/api/v2/|/send_push)",
        instead="A POST that ends in /send_push or /ack is FAIL with the right form of the address, never a redirect.",
        why="A 301 turns a POST into a GET: the push is lost, and its server believes that it was sent.",
        expected={"status": 200, "verdict": "FAIL", "code": "wrong_address"},
    ),
    Difference(
        tag="paths",
        about="^GET .*(//|%2e%2e)",
        instead="A path with // or dot segments, plain or escaped, is 404, never a redirect; /admin/ is a page.",
        why="The reference redirects to what the path would be without them.",
        expected={"status": 404},
    ),
    Difference(
        names=("HEAD /version", "GET /metrics"),
        instead="HEAD is answered as GET is, without the body; the metrics are here, for whoever may read them.",
        why="What watches a service asks by HEAD (RFC 9110, 9.1); the reference has its metrics on another port.",
        expected={"status": 200},
    ),
)
