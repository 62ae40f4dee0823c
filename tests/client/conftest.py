"""The server's fixture for the clients' tests; it knows nothing of what is asserted."""

from tests.server.conftest import shop

__all__ = ["shop"]
