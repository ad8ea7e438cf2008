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
        instead="A body that says it is gzip and is not is FAIL.",
        why="It is not what its sender said.",
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
        about="//|%2e%2e",
        instead="404, never a redirect.",
        why="A 301 turns a POST into a GET: the push is lost, and its server believes that it was sent.",
        expected={"status": 404},
    ),
    Difference(
        names=("HEAD /version",),
        instead="HEAD is answered as GET is, without the body.",
        why="What watches a service asks by HEAD (RFC 9110, 9.1: a server must support GET and HEAD).",
        expected={"status": 200},
    ),
    Difference(
        names=("GET /metrics",),
        instead="The metrics, for whoever may read them (here: this machine).",
        why="The reference serves them on another port.",
        expected={"status": 200},
    ),
)
