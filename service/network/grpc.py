"""Binding a gRPC server to the addresses of a service, with its certificates."""

from pathlib import Path

import grpc

from events.errors import BadSetting, Unavailable
from service.configuration.settings import Settings
from service.network.addresses import addresses, authority, ensure_free, free_port


def listen(
    server: grpc.Server, settings: Settings, wanted: int, name: str, *, shared: bool = False
) -> str:
    """Bind `server` to a port (0: a free one) of every address; `host:port` as bound.

    Args:
        shared: other processes of this service listen on the port too.

    Raises:
        Unavailable: the port is taken.
        BadSetting: the certificates cannot be used.
    """
    port = wanted or free_port(settings.host)
    if not shared:
        ensure_free(settings.host, port)
    credentials = _credentials(settings)
    bound = [authority(address, port) for address in addresses(settings.host)]
    for address in bound:
        try:
            if credentials:
                server.add_secure_port(address, credentials)
            else:
                server.add_insecure_port(address)
        except RuntimeError as exc:
            raise Unavailable(f"{name} cannot listen on {address}: {exc}") from exc
    return bound[0]


def _credentials(settings: Settings) -> grpc.ServerCredentials | None:
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    pair = (_pem(settings.tls_key), _pem(settings.tls_cert))
    client_ca = settings.tls_client_ca
    return grpc.ssl_server_credentials(
        [pair],
        root_certificates=_pem(client_ca) if client_ca else None,
        require_client_auth=client_ca is not None,
    )


def _pem(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise BadSetting(f"{path} cannot be read: {exc.strerror}") from exc
