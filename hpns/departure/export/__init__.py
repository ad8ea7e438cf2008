"""Everything that a customer owns as one archive: a .zip of JSON Lines, one file a kind, with a README.txt.

Invariant: no secret, no digest and nothing sealed is in it; kinds.py names each field that is.
"""
