"""The provider sandbox: a stand-in for Apple's and Google's push services that runs as a process of its own.

It speaks what they speak (HTTP/2 over TLS), checks what they check (signatures, topics, sizes, token forms), fails on
request in every way they fail, remembers what it was sent, and shows it on a page with two phones.

Invariant: nothing here knows Django's settings, our models or our senders, so that a mistake in those cannot be
mirrored here and go unseen.
"""
