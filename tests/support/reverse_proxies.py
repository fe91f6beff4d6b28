"""nginx and Caddy with the configurations of docs/deployment.md, in front of `lrs serve`."""

from __future__ import annotations

import os
import re
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.doc_examples import blocks
from tests.support.files import DOCS
from tests.support.programs import find_program

DOCUMENT = DOCS / "deployment.md"
ROOT_HOST, PREFIX_HOST = "lrs.example.com", "www.example.com"
BASE_URLS = {"root": f"https://{ROOT_HOST}", "prefix": f"https://{PREFIX_HOST}/lrs"}

# Requests come from another loopback address than the proxy's, where the system has one.
CLIENT_ADDRESS = "127.0.0.2" if sys.platform == "linux" else "127.0.0.1"


@dataclass(frozen=True)
class Proxy:
    """A running proxy. `upstream_ports` are those of the servers by site, `root` and `prefix`."""

    name: str
    pid: int
    http_port: int
    https_port: int
    certificate: Path
    upstream_ports: dict[str, int]

    def client(self, base_url: str = "", address: str = "127.0.0.1") -> httpx.AsyncClient:
        """A client that reaches the proxy under the host names of the document."""
        transport = _Transport(self, address)
        return httpx.AsyncClient(transport=transport, base_url=base_url, timeout=20)


class _Transport(httpx.AsyncHTTPTransport):
    def __init__(self, proxy: Proxy, address: str) -> None:
        context = ssl.create_default_context(cafile=str(proxy.certificate))
        source = CLIENT_ADDRESS if address == "127.0.0.1" else None
        super().__init__(verify=context, local_address=source)
        self._address = address
        self._ports = {"http": proxy.http_port, "https": proxy.https_port}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        moved = httpx.Request(
            request.method,
            url.copy_with(host=self._address, port=self._ports[url.scheme]),
            headers=request.headers,
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": url.host},
        )
        return await super().handle_async_request(moved)


def write_certificate(folder: Path) -> Path:
    """A self-signed certificate for both hosts, and its key beside it in `key.pem`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, ROOT_HOST)])
    names = x509.SubjectAlternativeName([x509.DNSName(ROOT_HOST), x509.DNSName(PREFIX_HOST)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


@contextmanager
def running_proxy(name: str, folder: Path, upstream_ports: dict[str, int]) -> Iterator[Proxy]:
    """nginx or Caddy with its documented configuration; only ports and paths are replaced."""
    program = find_program(name)
    certificate = write_certificate(folder)
    http_port, https_port = free_port(), free_port()
    write = {"nginx": _write_nginx, "caddy": _write_caddy}[name]
    arguments = write(folder, http_port, https_port, upstream_ports)
    with (folder / "proxy.log").open("wb") as log:
        process = subprocess.Popen(
            [program, *arguments],
            stdout=log,
            stderr=log,
            env={**os.environ, "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)},
        )
    try:
        _wait_for_port(https_port, process, folder / "proxy.log")
        yield Proxy(name, process.pid, http_port, https_port, certificate, upstream_ports)
    finally:
        process.terminate()
        process.wait(10)


def _write_nginx(
    folder: Path, http_port: int, https_port: int, upstream_ports: dict[str, int]
) -> list[str]:
    snippet, root, prefix = blocks(DOCUMENT, "nginx")
    # Both sites share the upstream in the document; they have a server each in the test.
    prefix = prefix.replace("http://lrs$", "http://prefix$")
    (upstream,) = re.findall(r"^upstream lrs \{.*?^\}", root, re.DOTALL | re.MULTILINE)
    prefix += upstream.replace("upstream lrs", "upstream prefix").replace(
        "127.0.0.1:8080", f"127.0.0.1:{upstream_ports['prefix']}"
    )
    (folder / "snippet.conf").write_text(snippet)
    sites = root.replace("127.0.0.1:8080", f"127.0.0.1:{upstream_ports['root']}") + prefix
    for pattern, replacement in (
        (r"/etc/nginx/snippets/lrs\.conf", str(folder / "snippet.conf")),
        (r"/etc/ssl/certs/\S+\.pem", str(folder / "certificate.pem")),
        (r"/etc/ssl/private/\S+\.key", str(folder / "key.pem")),
        (r"listen 80;", f"listen 127.0.0.1:{http_port};"),
        (r"listen 443", f"listen 127.0.0.1:{https_port}"),
        (r"listen \[::\]:80;", f"listen [::1]:{http_port};" if HAS_IPV6 else ""),
        (r"listen \[::\]:443( ssl http2);", rf"listen [::1]:{https_port}\1;" if HAS_IPV6 else ""),
    ):
        sites, count = re.subn(pattern, replacement, sites)
        assert count, pattern
    configuration = folder / "nginx.conf"
    configuration.write_text(_NGINX.format(folder=folder, sites=sites))
    return ["-p", str(folder), "-e", str(folder / "proxy.log"), "-c", str(configuration)]


_NGINX = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
events {{}}
http {{
access_log off;
client_body_temp_path {folder}/body;
proxy_temp_path {folder}/proxy;
fastcgi_temp_path {folder}/fastcgi;
uwsgi_temp_path {folder}/uwsgi;
scgi_temp_path {folder}/scgi;
{sites}
}}
"""


def _write_caddy(
    folder: Path, http_port: int, https_port: int, upstream_ports: dict[str, int]
) -> list[str]:
    (text,) = blocks(DOCUMENT, "caddyfile")
    # Both sites share the upstream in the document; they have a server each in the test.
    text = text.replace("127.0.0.1:8080", "127.0.0.1:{args.0}")
    ports = (str(upstream_ports[site]) for site in ("root", "prefix"))
    text = re.sub(r"import lrs$", lambda _: f"import lrs {next(ports)}", text, flags=re.MULTILINE)
    tls = f"tls {folder}/certificate.pem {folder}/key.pem"
    text, count = re.subn(r"^(\w+\.example\.com \{)$", rf"\1\n\t{tls}", text, flags=re.MULTILINE)
    assert count == 2
    options = f"{{\nadmin off\nskip_install_trust\nhttp_port {http_port}\nhttps_port {https_port}\n"
    configuration = folder / "Caddyfile"
    configuration.write_text(f"{options}}}\n{text}")
    return ["run", "--config", str(configuration), "--adapter", "caddyfile"]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _has_ipv6() -> bool:
    with suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        return True
    return False


HAS_IPV6 = _has_ipv6()


def _wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    give_up = time.monotonic() + 20
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < give_up, log.read_text()
        time.sleep(0.02)
