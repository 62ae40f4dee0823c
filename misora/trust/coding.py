"""Sixty-four bits that survive errors: a checksum, a convolutional code, soft decoding; it knows nothing of pictures.

Rate 1/2, constraint length 7, generators 171 and 133 (octal), ended with six zeros; Viterbi, IEEE Trans. Inf. Theory 13 (1967).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

PAYLOAD, CHECK, MEMORY = 64, 16, 6  # bits
GENERATORS = (0o171, 0o133)
CODED = 2 * (PAYLOAD + CHECK + MEMORY)
STATES = 1 << MEMORY
POLYNOMIAL = 0x1021  # CRC-16-CCITT


def encode(payload: int) -> list[int]:
    """``CODED`` signs, +1 or -1, for a number of ``PAYLOAD`` bits."""
    assert 0 <= payload < 1 << PAYLOAD
    word = payload << CHECK | _checksum(payload)
    register = 0
    signs: list[int] = []
    for place in range(PAYLOAD + CHECK + MEMORY):
        bit = word >> (PAYLOAD + CHECK - 1 - place) & 1 if place < PAYLOAD + CHECK else 0
        register = (register << 1 | bit) & (2 * STATES - 1)
        signs += _signs(register)
    return signs


def decode(soft: Sequence[float]) -> int | None:
    """The likeliest payload for ``CODED`` soft values (their sign is the bit, their size the trust), or None where the checksum fails."""
    assert len(soft) == CODED
    outputs = [_signs(register) for register in range(2 * STATES)]
    best = [0.0] + [float("-inf")] * (STATES - 1)
    paths = [0] * STATES  # the bits so far, as a number
    for place in range(0, CODED, 2):
        first, second = soft[place], soft[place + 1]
        gains, bits = [float("-inf")] * STATES, [0] * STATES
        for state, score in enumerate(best):
            for bit in (0, 1) if score > float("-inf") else ():
                register = state << 1 | bit
                gain = score + first * outputs[register][0] + second * outputs[register][1]
                if gain > gains[register & (STATES - 1)]:
                    gains[register & (STATES - 1)], bits[register & (STATES - 1)] = gain, paths[state] << 1 | bit
        best, paths = gains, bits
    word = paths[0] >> MEMORY
    payload = word >> CHECK
    return payload if _checksum(payload) == word & ((1 << CHECK) - 1) else None


def _signs(register: int) -> tuple[int, int]:
    first, second = (1 - 2 * ((register & generator).bit_count() & 1) for generator in GENERATORS)
    return first, second


def _checksum(payload: int) -> int:
    value = 0xFFFF
    for byte in payload.to_bytes(PAYLOAD // 8, "big"):
        value ^= byte << 8
        for _ in range(8):
            value = (value << 1 ^ (POLYNOMIAL if value & 0x8000 else 0)) & 0xFFFF
    return value


def payload_of(job: str) -> int:
    """The 64 bits that stand for a job: the first of SHA-256 of its id."""
    return int.from_bytes(hashlib.sha256(job.encode()).digest()[: PAYLOAD // 8], "big")
