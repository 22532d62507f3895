"""Which variables a CLI is given: an allow-list, so that nothing of ours and nobody's other secrets leak."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from aqm.runtimes.base import Host
from aqm.runtimes.lines import clean

__all__ = ["environment"]

_LOCAL = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "COLORTERM", "TMPDIR", "TZ", "LANG", "LANGUAGE")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "FTP_PROXY", "NODE_USE_ENV_PROXY")
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO")
_NODE = ("NODE_EXTRA_CA_CERTS", "NODE_OPTIONS", "NODE_COMPILE_CACHE")
_NAMES = frozenset((*_LOCAL, *_PROXIES, *(name.lower() for name in _PROXIES), *_CERTIFICATES, *_NODE))
_PREFIXES = ("LC_", "XDG_")
_OURS = "AQM_"  # tokens and addresses of the installation: never, not even by pass_env


def environment(
    host: Host,
    *,
    prefixes: tuple[str, ...] = (),
    names: Iterable[str] = (),
    defaults: Mapping[str, str] | None = None,
    extra: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The CLI's environment: what is allowed of the host's, over `defaults`, under `extra`."""
    allowed = _NAMES.union(names, host.pass_env)
    starts = _PREFIXES + prefixes
    passed = {
        name: value
        for name, value in host.environ.items()
        if (name in allowed or name.startswith(starts)) and not name.startswith(_OURS)
    }
    wanted = {name: clean(value) for name, value in (extra or {}).items()}
    return {**(defaults or {}), **passed, **wanted}
