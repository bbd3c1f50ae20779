"""TCF strings made to measure, bit by bit, independent of the decoder."""

from base64 import urlsafe_b64encode
from datetime import UTC, datetime

NOW = int(datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()) * 1_000_000
DAY = 86_400_000_000


def pack(bits: str, padding: int = 24) -> str:
    """Bits as base64url, filled up with zeros to a multiple of `padding`."""
    bits += "0" * (-len(bits) % padding)
    chars = -(-len(bits) // 6)
    whole = bits + "0" * (-len(bits) % 24)
    return urlsafe_b64encode(int(whole, 2).to_bytes(len(whole) // 8, "big")).decode()[:chars]


def field(numbers, size: int) -> str:
    return "".join("1" if position in numbers else "0" for position in range(1, size + 1))


def vendors(numbers) -> str:
    top = max(numbers, default=0)
    return f"{top:016b}0{field(numbers, top)}"


def core_bits(
    *,
    version=2,
    at=NOW,
    created=None,
    policy=5,
    service_specific=1,
    features=(),
    consents=(),
    interests=(),
    vendor=(),
    restrictions=(),
    language=(4, 13),
) -> str:
    created = at if created is None else created
    times = f"{created // 100_000:036b}{at // 100_000:036b}"
    head = f"{300:012b}{1:012b}{1:06b}{language[0]:06b}{language[1]:06b}{30:012b}{policy:06b}{service_specific}0"
    choices = field(features, 12) + field(consents, 24) + field(interests, 24) + "0" + f"{3:06b}{4:06b}"
    rules = f"{len(restrictions):012b}" + "".join(
        f"{purpose:06b}{kind:02b}{1:012b}0{who:016b}" for purpose, kind, who in restrictions
    )
    return f"{version:06b}{times}{head}{choices}{vendors(vendor)}{vendors(())}{rules}"


def publisher_bits(consents=(), interests=()) -> str:
    return "011" + field(consents, 24) + field(interests, 24) + "000000"


def disclosed_bits(numbers) -> str:
    return "001" + vendors(numbers)


def tcf(*, publisher=None, disclosed=None, padding=24, **core) -> str:
    segments = [core_bits(**core)]
    if disclosed is not None:
        segments.append(disclosed_bits(disclosed))
    if publisher is not None:
        segments.append(publisher_bits(publisher))
    return ".".join(pack(bits, padding) for bits in segments)
