"""What a project must have agreed to before an agent CLI may be started the way its pipeline asks for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from aqm.runtimes import load
from aqm.runtimes.base import Permissions

__all__ = ["Refusal", "confined", "consent", "widening"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """`setting` is the key of .aqm/config.yaml that would allow it, `value` what it would have to hold."""

    setting: str
    value: str
    message: str


def consent(
    runtime: str,
    permissions: Permissions,
    flags: Sequence[str],
    *,
    allow_full: bool = False,
    allow_unconfined: bool = False,
    allowed_flags: Sequence[str] = (),
) -> Refusal | None:
    """The first thing that the project has not agreed to; None when the CLI may start.

    `full` includes what is merely unconfined. Asked of `scripted`, it never refuses: no CLI is started.
    """
    if permissions == "full" and not allow_full:
        why = f"`permissions: full` lets {runtime} do everything that this user may do on this host"
        return _refusal("permissions.allow_full", "true", why)
    if permissions != "full" and not confined(runtime, permissions) and not (allow_unconfined or allow_full):
        why = f"nothing keeps {runtime} with `permissions: {permissions}` inside its workspace on this host"
        return _refusal("permissions.allow_unconfined", "true", why)
    refused = [flag for flag in widening(runtime, flags) if not _allowed(flag, allowed_flags)]
    if refused:
        why = f"the flag {refused[0]} of `cli_flags` may widen what {runtime} is allowed to do"
        return _refusal("flags.allow", f"[{refused[0]}]", why)
    return None


def _refusal(setting: str, value: str, why: str) -> Refusal:
    return Refusal(setting, value, f"{why}; it needs `{setting}: {value}` in .aqm/config.yaml")


def confined(runtime: str, permissions: Permissions) -> bool:
    """Whether the CLI itself keeps the agent inside its workspace; a plug-in that says nothing does not."""
    confines = getattr(load(runtime), "confined", None)
    return bool(confines and confines(permissions))


def widening(runtime: str, flags: Sequence[str]) -> tuple[str, ...]:
    """The flags that are not known to leave the permissions as they are; `-c key=…` counts as `-c key`.

    A list of known harmless ones, not of harmful ones: what a CLI's next version brings needs consent too.
    """
    harmless: Mapping[str, bool] = getattr(load(runtime), "harmless", {})
    return tuple(flag for flag in _named(flags, harmless) if flag not in harmless)


def _named(flags: Sequence[str], harmless: Mapping[str, bool]) -> Iterator[str]:
    """The flags by name, without the values that harmless ones take."""
    words = iter(flags)
    pending: str | None = None
    while (word := pending if pending is not None else next(words, None)) is not None:
        pending = None
        if word in ("-c", "--config"):
            setting = next(words, "")
            yield f"-c {setting.partition('=')[0].strip()}"
            continue
        name, has_value, _ = word.partition("=")
        yield name
        if harmless.get(name) and not has_value:
            value = next(words, None)
            # a CLI may read a word that begins with a dash as a flag even where a value is due
            pending = value if value is not None and value.startswith("-") else None


def _allowed(flag: str, allowed: Sequence[str]) -> bool:
    return flag in allowed or flag.split(" ")[0] in allowed
