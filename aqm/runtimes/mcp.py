"""MCP servers at the moment a CLI starts: references in their environment become values, never before."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from aqm.runtimes.base import McpServer
from aqm.runtimes.lines import clean

__all__ = ["McpError", "as_json", "with_values"]

_REFERENCE = re.compile(r"\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))")
_SECRET = "secret://"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class McpError(Exception):
    """An MCP server cannot be started as it is described."""


def with_values(servers: tuple[McpServer, ...], environ: Mapping[str, str]) -> tuple[McpServer, ...]:
    """The servers with every `$NAME`, `${NAME}` and `secret://NAME` of their environment filled in."""
    return tuple(replace(server, env=_environment(server, environ)) for server in servers)


def _environment(server: McpServer, environ: Mapping[str, str]) -> dict[str, str]:
    return {_name(server, key): _value(server, text, environ) for key, text in server.env.items()}


def _name(server: McpServer, key: str) -> str:
    if not _NAME.fullmatch(key):
        raise McpError(f"the MCP server {server.name!r} has a variable with no valid name: {key!r}")
    return key


def _value(server: McpServer, text: str, environ: Mapping[str, str]) -> str:
    def look_up(name: str) -> str:
        # our own tokens are nobody's business, whatever a pipeline asks for
        if name not in environ or name.startswith("AQM_"):
            raise McpError(
                f"the MCP server {server.name!r} needs {name}, which this worker's environment does not have"
            )
        return environ[name]

    if text.startswith(_SECRET):
        return look_up(text.removeprefix(_SECRET))
    return _REFERENCE.sub(lambda match: look_up(match[1] or match[2]), text)


def as_json(servers: tuple[McpServer, ...]) -> dict[str, object]:
    """The `mcpServers` mapping that claude and gemini read."""
    return {
        clean(server.name): {
            "command": clean(server.command),
            "args": [clean(word) for word in server.args],
            "env": {key: clean(value) for key, value in server.env.items()},
        }
        for server in servers
    }
