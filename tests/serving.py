"""An https server on this machine, in the place of publishers, with a certificate made for the test."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import trustme


class Server(ThreadingHTTPServer):
    """Serves a folder, sends on whoever asks for what has moved, and notes what was asked for."""

    def __init__(self, folder: Path, context: ssl.SSLContext) -> None:
        self.folder = folder
        self.moved: dict[str, str] = {}  # from a path to an address
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), Handler)
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.server_port}"


class Handler(SimpleHTTPRequestHandler):
    server: Server  # pyright: ignore[reportIncompatibleVariableOverride]

    def translate_path(self, path: str) -> str:
        self.directory = str(self.server.folder)
        return super().translate_path(path)

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.path not in self.server.moved:
            return super().do_GET()
        self.send_response(302)
        self.send_header("Location", self.server.moved[self.path])
        self.send_header("Content-Length", "0")
        return self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving(folder: Path, authority: Path) -> Iterator[Server]:
    """A running server of a folder; who trusts the certificates in the file ``authority`` can reach it."""
    folder.mkdir(exist_ok=True)
    issuer = trustme.CA()
    issuer.cert_pem.write_to_path(str(authority))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issuer.issue_cert("127.0.0.1").configure_cert(context)
    with Server(folder, context) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()
