"""The recordings of the real CLIs (claude 2.1.330, gemini 0.61.0, codex 0.169.0) and what each must become.

Made against a loopback stand-in for the vendors, with dummy keys. One file per case: NAME.stdout and, where
the CLI wrote there, NAME.stderr (cut at 900 characters).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aqm.flow.outcome import FailureClass, Usage

__all__ = ["FOLDER", "HANGS", "RECORDINGS", "Recording"]

FOLDER = Path(__file__).parents[1] / "recordings"
HANGS = None  # the exit code of a recording whose CLI had to be killed

F = FailureClass
OK = "OK from stand-in"
ONE = Usage(
    input=1200, cached=200, output=50, reasoning=0, cost_usd=0.00504
)  # claude; the cache is input too
TWO = Usage(input=2400, cached=400, output=100, reasoning=0, cost_usd=0.01008)
GEMINI = Usage(input=1000, cached=200, output=50, reasoning=20)
GEMINI_TWO = Usage(input=2000, cached=400, output=100, reasoning=40)
CODEX = Usage(input=1000, cached=200, output=50, reasoning=20)
CODEX_TWO = Usage(input=2000, cached=400, output=100, reasoning=40)
UNKNOWN = Usage()
RESUMED = {"conversation": "from-before"}
NONE_USED = Usage(input=0, cached=0, output=0, reasoning=0, cost_usd=0.0)


@dataclass(frozen=True, slots=True)
class Recording:
    """`becomes` is the answer's text or the failure's class; the rest of it is checked where it is given."""

    name: str
    code: int | None
    becomes: str | FailureClass
    usage: Usage | None = None
    denied: tuple[str, ...] = ()
    fields: dict[str, Any] | None = None
    resets_in: float | None = None
    message: str = ""
    prompt: dict[str, Any] = field(default_factory=dict)

    @property
    def runtime(self) -> str:
        return self.name.partition("-")[0]


_CLAUDE = (
    Recording("claude-bare", 0, OK, ONE),
    Recording("claude-bash-fail", 0, OK, TWO),
    Recording("claude-err-401-bounded", 1, F.AUTH, NONE_USED, message="stand-in error 401"),
    Recording("claude-err-429", 1, F.RATE_LIMITED, NONE_USED),
    Recording("claude-err-500-bounded", 1, F.OVERLOADED, NONE_USED),
    Recording("claude-err-529", 1, F.OVERLOADED, NONE_USED),
    Recording("claude-err-ctx-bounded", 1, F.CONTEXT_OVERFLOW, message="Prompt is too long"),
    Recording("claude-err-cut", 0, OK, Usage(3600, 600, 52, 0, 0.01316)),
    Recording("claude-err-flaky", 0, OK, ONE),
    Recording("claude-err-hang-bounded", 1, F.OVERLOADED, message="Request timed out"),
    Recording("claude-err-model-bounded", 1, F.MODEL_UNKNOWN),
    Recording("claude-err-refused", 1, F.OVERLOADED, message="Connection refused"),
    Recording("claude-hang-sigint", 0, F.CRASH, UNKNOWN, message="exit code 0 before its final event"),
    Recording(
        "claude-input-stream-json",
        0,
        "messages=4 user_chars=614 sha1=8a41d993d14d lastlen=16 model=claude-opus-5-5",
        TWO,
    ),
    Recording("claude-interrupt", 1, F.CRASH),
    Recording("claude-invalid-flag", 1, F.CLI_TOO_OLD, UNKNOWN, message="--nosuchflag"),
    Recording("claude-json", 0, OK, ONE),
    Recording("claude-jsonschema-bad", 0, "done"),
    Recording("claude-jsonschema-good", 0, '{"name":"x","n":3}', fields={"name": "x", "n": 3}),
    Recording("claude-jsonschema-never", 1, F.OUTPUT_INVALID, message="must have required property 'n'"),
    Recording("claude-jsonschema-stream", 0, '{"name":"x","n":3}', ONE, fields={"name": "x", "n": 3}),
    Recording("claude-max-budget", 1, F.CRASH, message="Reached maximum budget"),
    Recording("claude-max-turns", 1, F.CRASH, message="Reached maximum number of turns"),
    Recording("claude-mcp", 0, OK, ONE),
    Recording("claude-no-credential", 1, F.AUTH, message="Not logged in"),
    Recording("claude-permission-denied", 0, OK, TWO, denied=("Write",)),
    Recording("claude-resume", 0, OK, ONE, prompt=RESUMED),
    Recording("claude-resume-missing", 1, F.CRASH, prompt=RESUMED, message="has no conversation from-before"),
    Recording("claude-stdin-300k", 0, F.CRASH, message="user_chars=300581"),
    Recording("claude-stream", 0, OK, ONE),
    Recording("claude-stream-partial", 0, "Thought and answered.", ONE),
    Recording("claude-text", 0, F.CRASH, message="OK from stand-in"),
    Recording("claude-tool-write", 0, OK, TWO),
)
_GEMINI = (
    Recording("gemini-bash-fail", 0, OK, GEMINI_TWO),
    Recording("gemini-err-401-bounded", 145, F.AUTH, message="stand-in error 401"),
    Recording("gemini-err-429", 173, F.RATE_LIMITED),
    Recording("gemini-err-429long-bounded", 173, F.RATE_LIMITED, resets_in=600.0),
    Recording("gemini-err-500-json", 244, F.OVERLOADED, UNKNOWN),
    Recording("gemini-err-503-bounded", 247, F.OVERLOADED),
    Recording("gemini-err-529-bounded", 17, F.OVERLOADED),
    Recording(
        "gemini-err-ctx-bounded", 144, F.CONTEXT_OVERFLOW, message="exceeds the maximum number of tokens"
    ),
    Recording("gemini-err-cut", 1, F.OVERLOADED, message="terminated"),
    Recording("gemini-err-flaky", 0, OK, GEMINI),
    Recording("gemini-err-hang-bounded", HANGS, F.IDLE, UNKNOWN),
    Recording(
        "gemini-err-key-bounded", 144, F.AUTH, message="API key not valid. Please pass a valid API key."
    ),
    Recording("gemini-err-midhang-bounded", HANGS, F.IDLE, UNKNOWN),
    Recording("gemini-err-model-bounded", 1, F.MODEL_UNKNOWN),
    Recording("gemini-err-quota-bounded", 173, F.RATE_LIMITED, message="exhausted your daily quota"),
    Recording("gemini-err-refused", 1, F.OVERLOADED, message="fetch failed"),
    Recording("gemini-hang-norelaunch-sigint", 0, F.CRASH, message="exit code 0 before its final event"),
    Recording("gemini-hang-norelaunch-sigterm", 0, F.CRASH, message="exit code 0 before its final event"),
    Recording("gemini-invalid-flag", 1, F.CLI_TOO_OLD, message="--nosuchflag"),
    Recording("gemini-json", 0, F.CRASH),
    Recording("gemini-max-turns", 53, F.CRASH, GEMINI_TWO, message="Reached max session turns"),
    Recording("gemini-no-credential", 41, F.AUTH, message="GEMINI_API_KEY"),
    Recording("gemini-permission-denied", 0, OK, GEMINI_TWO, denied=("write_file",)),
    Recording(
        "gemini-resume",
        0,
        "contents=3 user_chars=486 lastlen=6 sha1=352f7829a238 model=gemini-2.5-pro",
        GEMINI,
        prompt=RESUMED,
    ),
    Recording(
        "gemini-resume-missing", 42, F.CRASH, prompt=RESUMED, message="has no conversation from-before"
    ),
    Recording("gemini-stream", 0, OK, GEMINI_TWO),
    Recording("gemini-stream-thinking", 0, "Thought and answered.", GEMINI),
    Recording("gemini-text", 0, F.CRASH),
    Recording("gemini-tool-write", 0, OK, GEMINI_TWO),
)
_CODEX = (
    Recording("codex-command", 0, OK, CODEX_TWO),
    Recording("codex-command-fail", 0, OK, CODEX_TWO),
    Recording("codex-err-401-bounded", 1, F.AUTH, UNKNOWN, message="stand-in error 401"),
    Recording("codex-err-403-bounded", 1, F.AUTH),
    Recording("codex-err-429-bounded", 1, F.RATE_LIMITED),
    Recording("codex-err-429long", HANGS, F.RATE_LIMITED, message="429 Too Many Requests"),
    Recording("codex-err-429long-bounded", 1, F.RATE_LIMITED),
    Recording("codex-err-429ra", 1, F.RATE_LIMITED),
    Recording("codex-err-429ra-bounded", 1, F.RATE_LIMITED),
    Recording("codex-err-500", 1, F.OVERLOADED, message="high demand"),
    Recording("codex-err-503-bounded", 1, F.OVERLOADED),
    Recording("codex-err-529-bounded", 1, F.OVERLOADED),
    Recording("codex-err-ctx-bounded", 1, F.CONTEXT_OVERFLOW),
    Recording("codex-err-cut-bounded", 1, F.OVERLOADED, message="stream disconnected"),
    Recording("codex-err-failed-bounded", 1, F.RATE_LIMITED),
    Recording("codex-err-failedctx-bounded", 1, F.CONTEXT_OVERFLOW),
    Recording("codex-err-failedquota-bounded", 1, F.RATE_LIMITED, message="Quota exceeded"),
    Recording("codex-err-flaky", 0, OK, CODEX),
    Recording("codex-err-hang", HANGS, F.IDLE, UNKNOWN),
    Recording("codex-err-midhang", HANGS, F.IDLE),
    Recording("codex-err-midhang-bounded", 1, F.OVERLOADED, message="idle timeout waiting for SSE"),
    Recording("codex-err-model-bounded", 1, F.MODEL_UNKNOWN),
    Recording("codex-err-quota-bounded", 1, F.RATE_LIMITED),
    Recording("codex-err-refused", HANGS, F.OVERLOADED, message="Connection failed"),
    Recording("codex-hang-sighup", -1, F.CRASH, message="was killed by SIGHUP"),
    Recording("codex-hang-sigint", 1, F.CRASH),
    Recording("codex-hang-sigterm", -15, F.CRASH, message="was killed by SIGTERM"),
    Recording("codex-invalid-flag", 2, F.CLI_TOO_OLD, message="--nosuchflag"),
    Recording("codex-json", 0, OK, CODEX),
    Recording("codex-json-reasoning", 0, "Thought and answered.", CODEX),
    Recording("codex-no-credential", 1, F.AUTH, message="STANDIN_KEY"),
    Recording("codex-readonly-patch", 0, OK, CODEX_TWO, denied=("edit",)),
    Recording("codex-readonly-shell", 0, OK, CODEX_TWO),
    Recording(
        "codex-resume",
        0,
        "items=9 user_chars=462 lastlen=15 sha1=81c29b405e63 model=gpt-6.1-sol",
        UNKNOWN,  # its usage is the sum of the whole conversation
        prompt=RESUMED,
    ),
    Recording("codex-resume-missing", 1, F.CRASH, prompt=RESUMED, message="has no conversation from-before"),
    Recording("codex-schema-bad", 0, '{"name":"x"}', fields={"name": "x"}, prompt={"schema": {}}),
    Recording("codex-schema-good", 0, '{"name":"x"', prompt={"schema": {}}),
    Recording("codex-shell-write", 0, OK, CODEX_TWO),
    Recording(
        "codex-stdin-300k",
        0,
        "items=7 user_chars=300421 lastlen=300000 sha1=e80614a0d692 model=gpt-6.1-sol",
        CODEX,
    ),
    Recording("codex-text", 0, F.CRASH),
    Recording("codex-tool-write", 0, OK, CODEX_TWO),
    Recording("codex-ws-outside-patch", 0, OK, CODEX_TWO, denied=("edit",)),
    Recording("codex-ws-outside-shell", 0, OK, CODEX_TWO),
)
RECORDINGS = (*_CLAUDE, *_GEMINI, *_CODEX)
