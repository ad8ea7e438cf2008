"""ECDSA public-key recovery on P-256 (SEC 1, 4.1.6): which keys can have made a signature.

A signature leaves two candidates, two signatures of one installation have one in common: its key. Pure Python, some
ten milliseconds a signature, for beside the path. That x is r + n, which has a chance of 2**-128, is left out.
"""

from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

from tenants.proofs.signatures import Signed, spelled, verify

P: Final = 2**256 - 2**224 + 2**192 + 2**96 - 1
N: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
B: Final = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
G: Final = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)

# Jacobian coordinates; z = 0 is the point at infinity.
Point = tuple[int, int, int]
_INFINITY: Final[Point] = (1, 1, 0)


def common(one: Signed, other: Signed) -> str | None:
    """The one public key that can have made both signatures, as signatures.public_key spells it; None for none.

    The same signature twice says nothing, and neither do two of one signing input.
    """
    if one.digest == other.digest:
        return None
    found = candidates(one) & candidates(other)
    if len(found) != 1:
        return None
    (key,) = found
    return key if verify(key, one) and verify(key, other) else None


def candidates(signed: Signed) -> set[str]:
    """The public keys, two at most, that can have made this signature; none for numbers that are no signature."""
    r, s = signed.r_s
    if not (0 < r < N and 0 < s < N):
        return set()
    square = (r * r * r - 3 * r + B) % P
    root = pow(square, (P + 1) // 4, P)
    if root * root % P != square:
        return set()
    inverse = pow(r, -1, N)
    u = -int.from_bytes(signed.digest, "big") * inverse % N
    v = s * inverse % N
    at_g = _times(u, (*G, 1))
    at_r = _times(v, (r, root, 1))
    mirrored = (at_r[0], P - at_r[1], at_r[2])
    found = (_affine(_add(at_g, each)) for each in (at_r, mirrored))
    return {spelled(ec.EllipticCurvePublicNumbers(*point, ec.SECP256R1()).public_key()) for point in found if point}


def _times(factor: int, point: Point) -> Point:
    found = _INFINITY
    for bit in bin(factor)[2:]:
        found = _double(found)
        if bit == "1":
            found = _add(found, point)
    return found


def _double(point: Point) -> Point:
    """Doubling for a = -3 (https://hyperelliptic.org/EFD/g1p/auto-shortw-jacobian-3.html, dbl-2001-b)."""
    x, y, z = point
    if not z or not y:
        return _INFINITY
    delta = z * z % P
    gamma = y * y % P
    beta = x * gamma % P
    alpha = 3 * (x - delta) * (x + delta) % P
    x3 = (alpha * alpha - 8 * beta) % P
    z3 = ((y + z) ** 2 - gamma - delta) % P
    return x3, (alpha * (4 * beta - x3) - 8 * gamma * gamma) % P, z3


def _add(one: Point, other: Point) -> Point:
    """Addition (the same page, add-1998-cmo-2)."""
    x1, y1, z1 = one
    x2, y2, z2 = other
    if not z1:
        return other
    if not z2:
        return one
    z1z1, z2z2 = z1 * z1 % P, z2 * z2 % P
    u1, s1 = x1 * z2z2 % P, y1 * z2 * z2z2 % P
    h, t = (x2 * z1z1 - u1) % P, (y2 * z1 * z1z1 - s1) % P
    if not h:
        return _INFINITY if t else _double(one)
    hh = h * h % P
    hhh, w = h * hh % P, u1 * hh % P
    x3 = (t * t - hhh - 2 * w) % P
    return x3, (t * (w - x3) - s1 * hhh) % P, z1 * z2 * h % P


def _affine(point: Point) -> tuple[int, int] | None:
    x, y, z = point
    if not z:
        return None
    inverse = pow(z, -1, P)
    square = inverse * inverse % P
    return x * square % P, y * square * inverse % P
