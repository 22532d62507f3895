"""Settings: the file, the variables over it, and an error with its place for everything else."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from aqm.errors import SettingsError
from aqm.settings import Settings


def of(text: str = "", **environ: str) -> Settings:
    return Settings.from_text(text, environ)


def wrong(text: str = "", **environ: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        of(text, **environ)
    return caught.value.message.split("\n")


def test_without_anything_the_defaults_are_in_force() -> None:
    settings = of()
    assert (settings.default_pipeline, settings.pipeline.max_stages, settings.slots) == ("default", 20, 8)
    gate = settings.gate
    assert (gate.runtime, gate.model, gate.timeout, gate.system_prompt) == (None, None, 120.0, None)
    assert (settings.timeout_for("claude"), settings.idle_timeout_for("claude")) == (600.0, 300.0)
    assert (settings.permissions.allow_full, settings.permissions.allow_unconfined, settings.flags.allow) == (
        False,
        False,
        (),
    )
    assert (settings.database_url, settings.broker_url, settings.server, settings.token) == (
        None,
        None,
        None,
        None,
    )
    assert (settings.lease_seconds, settings.retention.days, settings.concurrency) == (30.0, 0, {})
    assert (settings.sandbox, settings.sandbox_write, settings.pass_env, settings.script) == (
        None,
        (),
        (),
        None,
    )
    assert (settings.limits.stages, settings.limits.fan_out, settings.limits.depth) == (2_000, 32, 8)
    assert of("# nothing but comments\n\n") == of("slots: null\ngate: null\n") == settings


def test_the_file_says_what_it_says() -> None:
    settings = of(
        """
default_pipeline: triage
pipeline: {max_stages: 5}
gate: {runtime: claude, model: opus, timeout: 1.5, system_prompt: Judge.}
router: {runtime: gemini}
timeouts: {claude: 900, mine: 1}
idle_timeouts: {codex: 60}
concurrency: {claude: 4, claude/opus: 1, pipeline/triage: 2}
slots: 2
permissions: {allow_full: true}
flags: {allow: [--yolo]}
sandbox: required
sandbox_write: [/tmp/a]
pass_env: [HOME, MY_KEY]
database_url: postgresql://x/y
broker_url: redis://x
project: p
lease_seconds: 3
retention: {days: 30}
limits: {task_cost_usd: 1.5}
"""
    )
    assert (settings.timeout_for("claude"), settings.timeout_for("codex"), settings.timeout_for("mine")) == (
        900,
        600,
        1,
    )
    assert settings.idle_timeout_for("codex") == 60
    assert settings.concurrency == {"claude": 4, "claude/opus": 1, "pipeline/triage": 2}
    assert (settings.gate.system_prompt, settings.router.runtime) == ("Judge.", "gemini")
    assert (settings.flags.allow, settings.pass_env, settings.sandbox) == (
        ("--yolo",),
        ("HOME", "MY_KEY"),
        "required",
    )
    assert (settings.retention.days, settings.limits.task_cost_usd) == (30, 1.5)


@pytest.mark.parametrize(
    ("name", "text", "read"),
    [
        ("AQM_SLOTS", "3", lambda settings: settings.slots == 3),
        ("AQM_PIPELINE__MAX_STAGES", "3", lambda settings: settings.pipeline.max_stages == 3),
        ("AQM_TIMEOUTS__CLAUDE", "1.5", lambda settings: settings.timeout_for("claude") == 1.5),
        ("AQM_PERMISSIONS__ALLOW_FULL", "true", lambda settings: settings.permissions.allow_full is True),
        ("AQM_GATE__MODEL", "5", lambda settings: settings.gate.model == "5"),
        ("AQM_GATE__MODEL", "true", lambda settings: settings.gate.model == "true"),
        ("AQM_GATE__MODEL", "1.10", lambda settings: settings.gate.model == "1.10"),
        ("AQM_PASS_ENV", "A, B,", lambda settings: settings.pass_env == ("A", "B")),
        ("AQM_SANDBOX_WRITE", "/a b:/c", lambda settings: settings.sandbox_write == ("/a b", "/c")),
        ("AQM_FLAGS__ALLOW", "--yolo,-y", lambda settings: settings.flags.allow == ("--yolo", "-y")),
        ("AQM_SANDBOX", "off", lambda settings: settings.sandbox == "off"),
        ("AQM_DATABASE_URL", "postgresql://x", lambda settings: settings.database_url == "postgresql://x"),
        ("AQM_BROKER_URL", "redis://x", lambda settings: settings.broker_url == "redis://x"),
        ("AQM_LEASE_SECONDS", "3", lambda settings: settings.lease_seconds == 3),
        ("AQM_SERVER", "https://x", lambda settings: settings.server == "https://x"),
        ("AQM_TOKEN", "123", lambda settings: settings.token == SecretStr("123")),
        ("AQM_SCRIPT", "/tmp/s", lambda settings: settings.script == Path("/tmp/s")),
        ("AQM_PROJECT", "p", lambda settings: settings.project == "p"),
    ],
)
def test_a_variable_has_a_name_for_every_setting(name: str, text: str, read: object) -> None:
    assert callable(read)
    assert read(of(**{name: text}))
    assert not read(of(**{name: ""}))


def test_a_variable_wins_over_the_file_and_leaves_the_rest() -> None:
    settings = of("timeouts: {claude: 1, codex: 2}\nslots: 3\n", AQM_TIMEOUTS__CLAUDE="9", AQM_SLOTS="4")
    assert (settings.timeouts, settings.slots) == ({"claude": 9, "codex": 2}, 4)


def test_other_variables_are_not_ours() -> None:
    assert of(AQM_MARK="x", AQM="y", HOME="/", aqm_slots="9") == of()


def test_a_token_is_not_shown() -> None:
    assert "s3cret" not in repr(of(AQM_TOKEN="s3cret"))
    assert "s3cret" not in str(of(AQM_TOKEN="s3cret").model_dump())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("slots: 0", "config.yaml:1:8 slots: slots must be at least 1, not 0"),
        ("slots: many", "config.yaml:1:8 slots: slots must be a whole number, not 'many'"),
        ("a: 1\nslotz: 1", "config.yaml:2:1 slotz: unknown key 'slotz'; did you mean 'slots'?"),
        (
            "pipeline:\n  max_stage: 5",
            "config.yaml:2:3 pipeline.max_stage: unknown key 'max_stage'; did you mean 'max_stages'?",
        ),
        (
            "pipeline: 3",
            "config.yaml:1:11 pipeline: pipeline must be a mapping, not the number 3; write it as  "
            "key: value  lines",
        ),
        (
            "permissions: {allow_full: yes}",
            "config.yaml:1:27 permissions.allow_full: allow_full must be true or false, not 'yes'; "
            "write true",
        ),
        ("timeouts: {claude: -1}", "config.yaml:1:20 timeouts.claude: claude must be more than 0, not -1"),
        ("lease_seconds: 0.5", "config.yaml:1:16 lease_seconds: lease_seconds must be at least 1, not 0.5"),
        (
            "sandbox: maybe",
            "config.yaml:1:10 sandbox: sandbox cannot be 'maybe'; known: off, preferred, required",
        ),
        (
            "pass_env: [$A]",
            "config.yaml:1:12 pass_env[0]: pass_env[0] cannot be '$A'; names of variables that "
            "CLIs are given, without $",
        ),
        (
            "server: example.org",
            "config.yaml:1:9 server: server cannot be 'example.org'; the address of the team's "
            "server, https://…",
        ),
        (
            "slots: 1\nslots: 2",
            "config.yaml:2:1 slots: the key 'slots' is written twice (first in line 1); remove one",
        ),
        ("token: x", "config.yaml:1:1 token: token does not belong in a file; set AQM_TOKEN"),
        ("script: x", "config.yaml:1:1 script: script does not belong in a file; set AQM_SCRIPT"),
        ("- a", "config.yaml:1:1: the file must be a mapping; write  key: value  lines"),
        (
            "slots: [1",
            "config.yaml:2:1: this is not valid YAML: did not find expected ',' or ']'; check the "
            "indentation and the brackets of the lines above",
        ),
    ],
)
def test_what_is_wrong_in_the_file_is_told_with_its_line(text: str, said: str) -> None:
    assert said in wrong(text)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("AQM_SLOTS", "x", "AQM_SLOTS slots: slots must be a whole number, not 'x'"),
        (
            "AQM_PERMISSIONS__ALLOW_FULL",
            "1",
            "AQM_PERMISSIONS__ALLOW_FULL permissions.allow_full: allow_full must be true or false, "
            "not the number 1",
        ),
        ("AQM_LEASE", "3", "AQM_LEASE: there is no such setting; did you mean 'AQM_LEASE_SECONDS'?"),
        (
            "AQM_PIPELINE",
            "3",
            "AQM_PIPELINE: pipeline holds several settings; set AQM_PIPELINE__… for one of them",
        ),
        (
            "AQM_TIMEOUTS",
            "3",
            "AQM_TIMEOUTS: timeouts holds several settings; set AQM_TIMEOUTS__… for one of them",
        ),
        ("AQM_GATE__X", "3", "AQM_GATE__X: there is no such setting"),
        ("AQM_TIMEOUTS__", "3", "AQM_TIMEOUTS__: there is no such setting"),
        ("AQM_SLOTS__X", "3", "AQM_SLOTS__X: there is no such setting"),
    ],
)
def test_what_is_wrong_in_a_variable_is_told_with_its_name(name: str, text: str, said: str) -> None:
    assert wrong(**{name: text})[0].startswith(said)


def test_everything_wrong_is_told_at_once() -> None:
    found = wrong("slots: 0\nfoo: 1\n", AQM_BAR="1", AQM_LEASE_SECONDS="x")
    assert len(found) == 4


def test_a_process_is_part_of_the_installation_or_a_client_of_it() -> None:
    (found,) = wrong("server: https://x\n", AQM_DATABASE_URL="postgresql://x")
    assert found.startswith("config.yaml:1:9 server: server and database_url are both set")
    (found,) = wrong("database_url: postgresql://x\n", AQM_SERVER="https://x")
    assert found.startswith("AQM_SERVER server: server and database_url are both set")


def test_settings_of_a_folder(tmp_path: Path) -> None:
    assert Settings.load(tmp_path, {}) == Settings.from_environ({})
    (tmp_path / "config.yaml").write_text("slots: 3\n")
    assert Settings.load(tmp_path, {"AQM_DEFAULT_PIPELINE": "x"}).slots == 3
    (tmp_path / "config.yaml").write_text("slots: x\n")
    with pytest.raises(SettingsError, match=rf"{tmp_path.name}/config.yaml:1:8 slots"):
        Settings.load(tmp_path, {})
    (tmp_path / "config.yaml").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(SettingsError, match="no UTF-8 text"):
        Settings.load(tmp_path, {})


def test_a_folder_in_the_place_of_the_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").mkdir()
    with pytest.raises(SettingsError, match="cannot be read"):
        Settings.load(tmp_path, {})


@given(st.text(), st.dictionaries(st.text(alphabet="SLOTAQM_GEX").map("AQM_".__add__), st.text()))
def test_anything_is_settings_or_an_error_of_ours(text: str, environ: dict[str, str]) -> None:
    assert message_of(text, environ) != ""


def message_of(text: str, environ: dict[str, str]) -> str | None:
    try:
        Settings.from_text(text, environ)
    except SettingsError as error:
        return error.message
    return None
