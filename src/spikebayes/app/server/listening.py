"""A server from the socket that it listens at to its graceful end."""

from __future__ import annotations

import math
import socket
from ipaddress import ip_address
from types import FrameType

import uvicorn

from spikebayes.app.server.application import application
from spikebayes.app.server.service import Service
from spikebayes.errors import ConfigError

ENVIRONMENT = "SPIKEBAYES_TOKEN"


def listening(host: str, port: int, *, guarded: bool) -> socket.socket:
    """A socket at an address of this machine; one that others can reach only where a token guards it.

    Args:
        host: a name or an address.
        port: of it; 0 takes any that is free.
        guarded: whether clients need a token.

    Raises:
        ConfigError: no such host or port, or one that is taken; an address that others can reach, unguarded.

    Example:
        >>> listening("0.0.0.0", 8080, guarded=False)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        spikebayes.errors.ConfigError: other machines can reach 0.0.0.0, and no token protects it: give --token...
    """
    if not 0 <= port < 1 << 16:
        raise ConfigError(f"port must lie in 0..65535; got {port}")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"there is no host {host!r} to listen at; this machine alone is 127.0.0.1") from error
    family, *_, address = min(found, key=lambda each: each[0] != socket.AF_INET)
    if not guarded and not ip_address(str(address[0]).partition("%")[0]).is_loopback:
        raise ConfigError(
            f"other machines can reach {host}, and no token protects it: give --token, or set {ENVIRONMENT}, or "
            "leave --host out"
        )
    try:
        listener = socket.create_server(address, family=family)
    except OSError as error:
        cure = "give another --port, or --host"
        raise ConfigError(f"cannot listen at {host}, port {port}: {error.strerror}; {cure}") from error
    # connections inherit it: else an answer's body waits 40 ms for the client to have confirmed its head
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def url_of(listener: socket.socket) -> str:
    """Where clients find it."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve_until_stopped(service: Service, listener: socket.socket, token: str | None) -> None:
    """Answer requests until SIGTERM or Ctrl-C; what is running then is finished, what comes then is refused.

    A second signal ends it at once, and is raised again.
    """
    config = uvicorn.Config(
        application(service, token),
        loop="asyncio",
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",  # on standard error; clients that send nonsense are no news
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=math.ceil(service.limits.seconds),
    )
    try:
        _Server(config, service).run([listener])
    finally:
        service.close()


class _Server(uvicorn.Server):
    """Stops once the service has nothing left to do."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self.service = service

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.service.stopping:
            super().handle_exit(sig, frame)
            self.force_exit = True
        self.service.stopping = True

    async def on_tick(self, counter: int) -> bool:
        done = await super().on_tick(counter)
        return done or (self.service.stopping and not self.service.running)
