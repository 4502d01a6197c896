"""The ids of postgres_changes bindings: Erlang's portable hash, phash2, of the parameters as they were sent.

Clients only compare ids, but equal parameters must give equal ids on every socket, and the recorded frames
hold the real ones. Exact for maps of strings, which is what clients send; a value of another type is hashed
as its JSON text.
"""

from collections.abc import Mapping

from milepost.local.realtime.protocol import dumps

WORD = 0xFFFFFFFF
GOLDEN_RATIO = 0x9E3779B9
# Multiples of the golden ratio tell the kinds of terms apart.
BYTES, MAP_SIZE, MAP_PAIRS = 13, 16, 19
RANGE = 1 << 27


def phash(parameters: Mapping[str, object]) -> int:
    """From 0 to 2**27 - 1; independent of the order of the parameters."""
    pairs = 0
    for name, value in parameters.items():
        text = value if isinstance(value, str) else dumps(value)
        pairs ^= _hash_bytes(text.encode(), _hash_bytes(name.encode(), 0))
    return _hash_word(pairs, MAP_PAIRS, _hash_word(len(parameters), MAP_SIZE, 0)) % RANGE


def _hash_word(word: int, kind: int, seed: int) -> int:
    constant = kind * GOLDEN_RATIO & WORD
    return _mix(constant + word, constant, seed)[2]


def _hash_bytes(data: bytes, seed: int) -> int:
    a = b = GOLDEN_RATIO
    c = BYTES * GOLDEN_RATIO + seed & WORD
    if not data:
        return c
    whole = len(data) // 12 * 12
    for at in range(0, whole, 12):
        first, second, third = (int.from_bytes(data[i : i + 4], "little") for i in (at, at + 4, at + 8))
        a, b, c = _mix(a + first, b + second, c + third)
    rest = data[whole:].ljust(11, b"\0")
    # The lowest byte of the last word is the length.
    last = (int.from_bytes(rest[8:], "little") << 8) + len(data)
    return _mix(a + int.from_bytes(rest[:4], "little"), b + int.from_bytes(rest[4:8], "little"), c + last)[2]


def _mix(a: int, b: int, c: int) -> tuple[int, int, int]:
    """Jenkins' mix of three words."""
    for right, left, back in ((13, 8, 13), (12, 16, 5), (3, 10, 15)):
        a = (a - b - c ^ (c & WORD) >> right) & WORD
        b = (b - c - a ^ a << left) & WORD
        c = (c - a - b ^ b >> back) & WORD
    return a, b, c
