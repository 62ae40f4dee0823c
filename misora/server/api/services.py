"""What every route works with, in one bundle; it knows nothing of any route."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter

from misora.server.accounts.addresses import Addresses
from misora.server.accounts.plans import Plans
from misora.server.accounts.rates import Rates
from misora.server.files import Files
from misora.server.guard import Guard
from misora.server.secret import Secret
from misora.server.settings import Settings
from misora.server.store.database import Store


@dataclasses.dataclass(kw_only=True)
class Services:
    """One server's parts. ``draining`` is set when it is about to stop."""

    settings: Settings
    store: Store
    files: Files
    guard: Guard
    plans: Plans
    secret: Secret
    rates: Rates = dataclasses.field(default_factory=Rates)
    draining: bool = False
    examining: asyncio.Semaphore = dataclasses.field(default_factory=lambda: asyncio.Semaphore(1))  # one stranger's file at a time
    judging: asyncio.Semaphore = dataclasses.field(default_factory=lambda: asyncio.Semaphore(2))  # moderations, of the guard's four at once
    alerts: Counter[str] = dataclasses.field(default_factory=Counter)
    addresses: Addresses = dataclasses.field(init=False)
    answered: Counter[tuple[str, int]] = dataclasses.field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.addresses = Addresses(self.settings.many_addresses)
