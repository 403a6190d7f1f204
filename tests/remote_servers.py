"""Servers on 127.0.0.1 for tests: HTTP with faults on demand, and S3."""

import base64
import contextlib
import hashlib
import os
import socket
import struct
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest import mock
from urllib.parse import unquote

# Longer than the time limit that the tests set.
SLOW_SECONDS = 1.5


class HttpServer:
    """Serves a folder, and misbehaves as told.

    Args:
        folder: The files.

    Attributes:
        faults: For each path, what to do at the next requests, in turn: `"reset"` in
            mid-file, `"slow"`, `"503"`, `"403"`, `"wrong checksum"`, `"no ranges"`.
        requests: How often each path was asked for with GET.
    """

    def __init__(self, folder: Path):
        self.faults: dict[str, list[str]] = defaultdict(list)
        self.requests: Counter[str] = Counter()
        server = self

        class Handler(_Handler):
            files = server
            root = folder

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    files: HttpServer
    root: Path

    def log_message(self, *_):
        """Says nothing."""

    def do_HEAD(self):
        self._answer(body=False)

    def do_GET(self):
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        path = unquote(self.path.partition("?")[0])
        fault = None
        if body:
            self.files.requests[path] += 1
            if self.files.faults[path]:
                fault = self.files.faults[path].pop(0)
        file = self.root / path.lstrip("/")
        if fault in ("403", "503") or not file.is_file():
            self.send_response(int(fault or 404))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if fault == "slow":
            time.sleep(SLOW_SECONDS)
        content = file.read_bytes()
        md5 = base64.b64encode(hashlib.md5(content).digest()).decode()
        if fault == "wrong checksum":
            content = bytes([content[0] ^ 255]) + content[1:]
        asked = self.headers.get("Range") if fault != "no ranges" else None
        part = content
        if asked:
            first, last = asked.removeprefix("bytes=").split("-")
            part = content[int(first) : int(last) + 1 if last else None]
        self.send_response(206 if asked else 200)
        if asked:
            span = f"{first}-{int(first) + len(part) - 1}/{len(content)}"
            self.send_header("Content-Range", f"bytes {span}")
        self.send_header("Content-Length", str(len(part)))
        self.send_header("Content-MD5", md5)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Last-Modified", str(file.stat().st_mtime_ns))
        self.end_headers()
        if not body:
            return
        if fault == "reset":
            self.wfile.write(part[: len(part) // 2])
            self.wfile.flush()
            # Closing without lingering sends a reset instead of an orderly end.
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.close_connection = True
            self.connection.close()
            return
        with contextlib.suppress(ConnectionError):
            self.wfile.write(part)


@contextlib.contextmanager
def s3_bucket(name: str) -> Iterator:
    """A bucket on moto's S3 server, by boto3; other clients find it by themselves."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"{host}:{port}".replace("0.0.0.0", "127.0.0.1")
    environment = {
        "AWS_ENDPOINT_URL": f"http://{address}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    try:
        with mock.patch.dict(os.environ, environment):
            yield boto3.resource("s3").create_bucket(Bucket=name)
    finally:
        server.stop()


def upload(bucket, folder: Path, prefix: str) -> None:
    """Copies a folder into a bucket."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            bucket.upload_file(str(path), f"{prefix}/{path.relative_to(folder)}")
