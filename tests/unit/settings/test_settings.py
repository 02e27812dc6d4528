"""What an operator may set, and how a mistake is told: one line each, before anything is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.settings import Settings, SettingsError, load_settings

STRONG = "kT7wq2ZrV9mXb4Ls"


def refused(tmp_path: Path, text: str, mode: int = 0o600) -> list[str]:
    file = tmp_path / "aftercall.toml"
    file.write_text(text)
    file.chmod(mode)
    with pytest.raises(SettingsError) as caught:
        load_settings(file, {})
    assert all("\n" not in line for line in caught.value.lines)
    return caught.value.lines


def test_nothing_need_be_set() -> None:
    settings = load_settings(None, {})
    assert settings.time_zone == "Asia/Shanghai"
    assert settings.queues["service"].wrap_up_s == 20
    assert settings.queues["express"].wrap_up_s == 0


def test_a_file_that_is_not_there_is_no_mistake(tmp_path: Path) -> None:
    assert load_settings(tmp_path / "aftercall.toml", {}) == Settings()


def test_a_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "aftercall.toml"
    file.write_text('language = "zh"\n[http]\nport = 9090\n')
    settings = load_settings(file, {})
    assert (settings.language, settings.http.port, settings.sip.port) == ("zh", 9090, 0)


def test_the_environment_goes_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "aftercall.toml"
    file.write_text('[http]\nport = 9090\nhost = "127.0.0.2"\n')
    monkeypatch.setenv("AFTERCALL_HTTP__PORT", "9191")
    settings = load_settings(file)
    assert (settings.http.port, settings.http.host) == (9191, "127.0.0.2")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('colour = "red"', "colour: unknown key"),
        ("[http]\nprot = 1", "http.prot: unknown key"),
        ('[http]\nport = "many"', "http.port: Input should be a valid integer"),
        ("[http]\nport = 70000", "http.port: Input should be less than or equal to 65535"),
        ('http = "here"', "http: Input should be a valid dictionary"),
        ('time_zone = "Mars/Base"', "'Mars/Base' is not a time zone"),
        ('country = "China"', "country: "),
        ('[shop]\ntoken = "short"', "shop.token: a secret has at least 16 characters"),
        ('[shop]\ntoken = "password12345678"', "shop.token: this secret is too easy"),
        ('[shop]\ntoken = "aaaaaaaaaaaaaaaaaaaa"', "shop.token: this secret is too easy"),
        ("[http\nport = 1", "not TOML"),
        ("[queues.service]\nwrap_up_s = -1", "queues.service.wrap_up_s: "),
    ],
)
def test_a_mistake_is_one_line_that_names_the_key(tmp_path: Path, text: str, words: str) -> None:
    lines = refused(tmp_path, text)
    assert len(lines) == 1
    assert words in lines[0]
    assert lines[0].startswith(str(tmp_path))


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    assert len(refused(tmp_path, 'a = 1\nb = 2\ntime_zone = "x"\n[http]\nport = -1')) == 4


def test_a_wrong_variable_is_told_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFTERCALL_HTTP__PORT", "many")
    with pytest.raises(SettingsError, match=r"^AFTERCALL_HTTP__PORT: http\.port: "):
        load_settings(None)


def test_an_unknown_variable_is_refused_but_not_those_that_are_no_settings() -> None:
    with pytest.raises(SettingsError, match="AFTERCALL_HTPP__PORT: unknown key"):
        load_settings(None, {"AFTERCALL_HTPP__PORT": "1"})
    load_settings(None, {"AFTERCALL_CACHE": "/somewhere", "AFTERCALL_HOME": "/x", "OTHER": "1"})


@pytest.mark.parametrize(
    "text", [f'[shop]\nurl = "http://shop"\ntoken = "{STRONG}"', f'[database]\nurl = "postgresql://a:{STRONG}@db/x"']
)
def test_a_secret_that_others_can_read_is_refused(tmp_path: Path, text: str) -> None:
    for mode in (0o644, 0o640, 0o604):
        lines = refused(tmp_path, text, mode)
        assert lines == [
            f"{tmp_path}/aftercall.toml: holds a secret but others can read it; chmod 600 {tmp_path}/aftercall.toml"
        ]
    (tmp_path / "aftercall.toml").chmod(0o600)
    load_settings(tmp_path / "aftercall.toml", {})


def test_settings_without_secrets_may_be_read_by_all(tmp_path: Path) -> None:
    file = tmp_path / "aftercall.toml"
    file.write_text('[database]\nurl = "postgresql://db/x"\n')
    file.chmod(0o644)
    load_settings(file, {})


def test_a_secret_does_not_show_when_settings_are_printed(tmp_path: Path) -> None:
    file = tmp_path / "aftercall.toml"
    file.write_text(f'[shop]\ntoken = "{STRONG}"\n')
    file.chmod(0o600)
    assert STRONG not in repr(load_settings(file, {}))


def test_nobody_outside_may_be_called_unless_it_is_said_how_their_number_begins(tmp_path: Path) -> None:
    assert load_settings(None, {}).outbound.allow == []
    assert "how a number begins" in refused(tmp_path, '[outbound]\nallow = ["+86", "*"]')[0]
    assert refused(tmp_path, '[outbound]\nallow = [""]')
