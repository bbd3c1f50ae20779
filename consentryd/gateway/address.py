"""Where a gateway is reached: what it listens on is not always what a client can ask."""

from __future__ import annotations

from ipaddress import ip_address


def url_of(host: str, port: int) -> str:
    """`http://host:port` as a client on this machine reaches it."""
    if is_everywhere(host):
        host = "localhost"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_everywhere(host: str) -> bool:
    """Whether it stands for every address of the machine."""
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return False
