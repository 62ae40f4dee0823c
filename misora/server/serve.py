"""The server process: opens the store, makes the first key, serves, drains; it never loads torch."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import logging
import os
import signal
import socket
import ssl
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from misora.client.errors import MisoraError, UsageError
from misora.server import guard, upkeep, webhooks
from misora.server.accounts import keys, plans
from misora.server.api import batches
from misora.server.api.app import build
from misora.server.api.services import Services
from misora.server.files import Files, in_use
from misora.server.logs import set_up
from misora.server.secret import Secret
from misora.server.settings import Settings
from misora.server.store import migrate
from misora.server.store.database import Store
from misora.server.store.tables import keys as keys_table
from misora.server.supervisor import Supervisor

UPKEEP_SECONDS = 60.0
DOWNLOADS, CLOSING = 5, 1  # seconds that open connections get once the workers are gone: while the drain lasts, and when it is over
HURRIED = 2.5  # seconds in which a second signal ends the server, workers and all
log = logging.getLogger("misora.server")


def open_store(settings: Settings) -> Store:
    """The data folder and the database, made or brought up to date. Raises UsageError."""
    try:
        settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise UsageError(f"The folder {settings.data} cannot be made ({error.strerror}); give another --data.") from None
    store = Store(settings.database())
    try:
        migrate.upgrade(store, backups=settings.data / "backups")
    except DBAPIError as error:
        where, why = store.url.render_as_string(hide_password=True), str(error.orig).strip().partition("\n")[0][:200]
        raise MisoraError(f"The database {where} cannot be opened ({why}); check --data or --db.") from None
    return store


def existing_store(settings: Settings) -> Store:
    """The database of a server that is there already. Raises UsageError."""
    if not settings.db and not (settings.data / "misora.sqlite").is_file():
        raise UsageError(f"There is no server's database in {settings.data}; give its folder with --data.")
    return open_store(settings)


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then end the process with 0. Raises UsageError for settings that cannot be meant."""
    check_address(settings)
    os.umask(0o077)
    set_up()
    check_certificate(settings)
    known = plans.load(settings.plans)
    with in_use(settings.data), contextlib.closing(open_store(settings)) as store:
        first_key(store, settings.data)
        plans.tell(store, known)
        services = Services(
            settings=settings,
            store=store,
            files=Files(settings.data, settings.free_bytes),
            guard=guard.installed(settings.policy()),
            plans=known,
            secret=Secret(settings.data),
        )
        asyncio.run(_run(services, listen(settings)))
    _exit()  # taking the interpreter down would take seconds, and wait for threads that judge a text or wait for an endpoint


def _exit() -> None:
    os._exit(0)


def _exit_within(seconds: float) -> None:
    """End the process then, whatever still hangs: all that was promised is in the database."""
    timer = threading.Timer(seconds, _exit)
    timer.daemon = True
    timer.start()


def check_address(settings: Settings) -> None:
    """Raise UsageError when the API would be open to others without encryption."""
    if (settings.tls_cert is None) != (settings.tls_key is None):
        raise UsageError("Give both --tls-cert and --tls-key, or neither.")
    try:
        addresses = {info[4][0] for info in socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)}
    except OSError:
        raise UsageError(f"{settings.host} is no address of this machine; give another --host.") from None
    local = all(ipaddress.ip_address(str(each).partition("%")[0]).is_loopback for each in addresses)
    if not local and settings.tls_cert is None and not settings.insecure_http:
        raise UsageError(f"{settings.host} can be reached by others: give --tls-cert and --tls-key, or --insecure-http behind a proxy.")


def check_certificate(settings: Settings) -> None:
    """Raise UsageError for half a certificate, or one that cannot be read or served with; the worker says whether it can sign."""
    given = [path for path in (settings.certificate, settings.certificate_key) if path is not None]
    if len(given) == 1:
        raise UsageError("Give both --certificate and --certificate-key, or neither.")
    for path in given:
        if not os.access(path, os.R_OK):
            raise UsageError(f"{path} cannot be read; give a PEM file.")
    if settings.tls_cert is not None:
        try:
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(settings.tls_cert, settings.tls_key)
        except (OSError, ValueError):
            raise UsageError(f"{settings.tls_cert} and {settings.tls_key} cannot be used; give a certificate and its key as PEM.") from None


def say_unchecked(services: Services) -> None:
    """Write down what nothing looks at here."""
    missing = list(services.guard.unchecked)
    if missing:
        with services.store.write() as db:
            keys.note(db, "system", "policy.unchecked", "server", {"unchecked": missing})


def first_key(store: Store, data: Path) -> None:
    """Make the first admin key when there never was one, in a file that only its owner can read; say where."""
    with store.read() as db:
        admins = select(func.count()).select_from(keys_table).where(keys_table.c.scopes.contains("admin"))
        if db.execute(admins).scalar_one():
            return
    path = data / "admin.key"
    made = keys.create(store, "admin", scopes="generate publish admin")
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, stat.S_IRUSR | stat.S_IWUSR)
    with os.fdopen(handle, "w") as file:
        file.write(made.secret + "\n")
    print(f"The first admin key is in {path}", flush=True)


class _Server(uvicorn.Server):
    """uvicorn without its own signals: draining is ours."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


def listen(settings: Settings) -> list[socket.socket]:
    """A socket for each address of the host, all on one port. Raises MisoraError."""
    made: list[socket.socket] = []
    port = settings.port
    for info in socket.getaddrinfo(settings.host, port, type=socket.SOCK_STREAM):
        try:
            made.append(socket.create_server((info[4][0], port, *info[4][2:]), family=info[0], backlog=2048))
        except OSError as error:
            if made and error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                continue  # localhost is also ::1, which not every machine has
            for each in made:
                each.close()
            why = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be listened on ({error.strerror})"
            raise MisoraError(f"{settings.host}:{port} {why}; give another --host or --port.") from None
        port = made[0].getsockname()[1]
    return made


async def _run(services: Services, sockets: list[socket.socket]) -> None:
    settings = services.settings
    supervisor = Supervisor(settings, services.store)
    server = _Server(_config(services))
    stop, hurry = asyncio.Event(), asyncio.Event()

    def leave() -> None:
        if stop.is_set():
            hurry.set()
            server.force_exit = True
            _exit_within(HURRIED)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, leave)
    serving = asyncio.create_task(server.serve(sockets))
    while not server.started and not serving.done():
        await asyncio.sleep(0.01)
    if serving.done():
        serving.result()
        return
    supervisor.start()
    print(f"Misora is ready at {_url(settings, sockets[0].getsockname()[1])}", flush=True)
    await asyncio.to_thread(say_unchecked, services)
    tending = [asyncio.create_task(each(services)) for each in (_tend, _notify, _batch)]
    await asyncio.wait([serving, asyncio.create_task(stop.wait())], return_when=asyncio.FIRST_COMPLETED)
    services.draining = True
    log.info("draining")
    end = time.monotonic() + settings.drain_seconds
    for task in tending:
        task.cancel()
    await supervisor.stop(hurry)
    seconds = max(CLOSING, min(DOWNLOADS, int(end - time.monotonic())))
    server.config.timeout_graceful_shutdown, server.should_exit = seconds, True
    _exit_within(seconds + CLOSING)
    await serving


def _config(services: Services) -> uvicorn.Config:
    settings = services.settings
    return uvicorn.Config(
        build(services),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
        h11_max_incomplete_event_size=64 * 1024,
    )


def _url(settings: Settings, port: int) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{'https' if settings.tls_cert else 'http'}://{host}:{port}"


async def _tend(services: Services) -> None:
    while True:
        try:
            await asyncio.to_thread(upkeep.round_once, services.store, services.files)
        except Exception as error:  # upkeep must never end the server
            log.error("upkeep: %s", type(error).__name__)
        await asyncio.sleep(UPKEEP_SECONDS)


async def _notify(services: Services) -> None:
    while True:
        try:
            tried = await asyncio.to_thread(
                webhooks.deliver_due, services.store, services.secret, private=services.settings.private_webhooks
            )
        except Exception as error:  # a webhook must never end the server
            log.error("webhooks: %s", type(error).__name__)
            tried = 0
        await asyncio.sleep(0.1 if tried else 1.0)


async def _batch(services: Services) -> None:
    while True:
        try:
            found = await asyncio.to_thread(batches.advance, services)
        except Exception as error:  # a batch must never end the server
            log.error("batches: %s", type(error).__name__)
            found = 0
        await asyncio.sleep(0.5 if found else 2.0)
