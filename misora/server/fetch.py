"""Fetches what a stranger points at without being led inside: the address that was checked is the one connected to; it knows no route.

Only http and https, only public addresses, each redirect checked anew, bytes and seconds bounded.
"""

from __future__ import annotations

import asyncio
import http.client
import ipaddress
import socket
import ssl
import time
import urllib.parse

from misora.client.errors import MisoraError

IMAGE_BYTES = 20_000_000
SECONDS, REDIRECTS = 10.0, 3


class FetchError(MisoraError):
    """The address cannot, or must not, be fetched."""


def get(url: str, *, most: int) -> bytes:
    """The bytes at ``url``. Raises FetchError."""
    end = time.monotonic() + SECONDS
    for _ in range(REDIRECTS + 1):
        connection, target = connect(url, end)
        try:
            connection.request("GET", target, headers={"Accept": "image/*", "User-Agent": "misora"})
            answer = connection.getresponse()
            location = answer.getheader("location")
            if answer.status in (301, 302, 303, 307, 308) and location:
                url = urllib.parse.urljoin(url, location)
                continue
            if answer.status != 200:
                raise FetchError(f"The address answered with status {answer.status}.")
            return _read(answer, most, end)
        except (OSError, http.client.HTTPException, ValueError):
            raise FetchError("The address could not be fetched; check it, or send the file itself.") from None
        finally:
            connection.close()
    raise FetchError(f"The address redirects more than {REDIRECTS} times.")


def connect(url: str, end: float, *, private: bool = False) -> tuple[http.client.HTTPConnection, str]:
    """A connection to the checked address of ``url``, and the target to ask it for. Raises FetchError."""
    parts, host, port = split(url)
    address = public_address(host, port, private=private)
    timeout = max(0.1, end - time.monotonic())
    safe = "/%:@!$&'()*+,;=~"
    query = urllib.parse.quote(parts.query, safe=f"{safe}?")
    target = urllib.parse.quote(parts.path or "/", safe=safe) + (f"?{query}" if query else "")
    kind = _PinnedTls if parts.scheme == "https" else _Pinned
    connection = kind(host, port, timeout=timeout)
    connection.address = address
    return connection, target


def split(url: str) -> tuple[urllib.parse.SplitResult, str, int]:
    """The address taken apart, its host and its port. Raises FetchError."""
    try:
        parts = urllib.parse.urlsplit(url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        host.encode("idna")
    except ValueError:
        raise FetchError("The address cannot be read; write it as https://host/path.") from None
    if parts.scheme not in ("http", "https") or not host or parts.username or not url.isprintable() or " " in url:
        raise FetchError("The address cannot be read; write it as https://host/path.")
    return parts, host, port


async def leads_inside(url: str, seconds: float = 3.0) -> bool:
    """Whether the address is known to lead to a private network; what cannot be found out in time is asked again when it is used."""
    _, host, port = split(url)
    try:
        async with asyncio.timeout(seconds):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):  # TimeoutError is an OSError
        return False
    return not all(_public(str(info[4][0])) for info in found)


def public_address(host: str, port: int, *, private: bool = False) -> str:
    """An address of ``host``, when every one of its addresses is public. Raises FetchError."""
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):
        raise FetchError("The address's host cannot be found.") from None
    for each in found:
        if not private and not _public(each):
            raise FetchError("The address leads to a private network; give a public one.")
    return sorted(found)[0]


def _public(text: str) -> bool:
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if inner is None and address in NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return _public(str(inner))
    return address.is_global and not address.is_multicast and not address.is_reserved


NAT64 = ipaddress.ip_network("64:ff9b::/96")


class _Pinned(http.client.HTTPConnection):
    address = ""

    def connect(self) -> None:
        self.sock = socket.create_connection((self.address, self.port), self.timeout)


class _PinnedTls(_Pinned):
    def connect(self) -> None:
        super().connect()
        self.sock = ssl.create_default_context().wrap_socket(self.sock, server_hostname=self.host)


def _read(answer: http.client.HTTPResponse, most: int, end: float) -> bytes:
    pieces, size = [], 0
    while piece := answer.read1(65536):
        size += len(piece)
        if size > most or time.monotonic() > end:
            raise FetchError(f"The address sends more than {most:,} bytes, or too slowly.")
        pieces.append(piece)
    return b"".join(pieces)
