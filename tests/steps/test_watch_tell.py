"""Telling: people by mail and webhook on real servers, and a command that runs alone and not too often."""

import email
import email.policy
import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import watching as world
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from mlops_cli.steps import watch_notify

SERIES = Path("watch/flights@production")
WATCH = ("watch", "flights@production", "--log", "logs", "--actuals", "landed.parquet", "--alert", "precision<0.97")
CANARY = "hunter2canary"


@pytest.fixture
def flights(work):
    """A registered model, 900 logged rows of it and their labels, 10 % of them wrong."""
    world.register()
    asked = world.inputs(900, seed=1)
    world.log("logs", asked)
    bad(asked)
    return asked


def bad(asked):
    world.actuals(world.truth(world.BINARY, asked, seed=2, noise=0.1)).write_parquet("landed.parquet")


def good(asked):
    world.actuals(world.truth(world.BINARY, asked, seed=2)).write_parquet("landed.parquet")


@pytest.fixture
def hook():
    """A web server that keeps what is posted to it; `answers` are the codes it gives, the last one for ever."""

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self):
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(answers.pop(0) if len(answers) > 1 else answers[0])
            self.end_headers()

        def log_message(self, *_):
            pass

    got, answers = [], [200]
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.got, server.answers = got, answers
    server.url = f"json://127.0.0.1:{server.server_port}/{CANARY}?token={CANARY}"
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def post():
    """A mail server; `mails` are the messages that it took."""

    class Handler:
        async def handle_DATA(self, server, session, envelope):
            mails.append(envelope)
            return "250 OK"

    def login(server, session, envelope, mechanism, data):
        logins.append((data.login, data.password))
        return AuthResult(success=True)

    mails, logins = [], []
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    controller = Controller(
        Handler(), hostname="127.0.0.1", port=port, authenticator=login, auth_require_tls=False, auth_required=True
    )
    controller.start()
    controller.mails, controller.logins = mails, logins
    yield controller
    controller.stop()


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch):
    monkeypatch.setattr(watch_notify, "_PAUSE_SECONDS", 0.0)


def entries():
    return [json.loads(path.read_bytes()) for path in sorted(SERIES.glob("*.json"))]


def written():
    """Everything that lies in the working directory, as bytes."""
    return b"".join(path.read_bytes() for path in Path().rglob("*") if path.is_file())


def test_a_webhook_is_told_once_for_a_change_and_when_it_is_over(flights, cli, hook):
    arguments = (*WATCH, "--notify", hook.url)
    assert cli(*arguments).code == 1
    assert cli(*arguments).code == 1
    (told,) = hook.got
    assert told["title"] == "[mlops] flights@1: ALERT precision<0.97" and told["type"] == "failure"
    for words in (
        "Model flights, version 1, alias production.",
        "95 % interval",
        "the bound is 0.97",
        "900 rows of the last 7d, 900 of them with a label",
        "All that was measured: watch/flights@production/000001.json",
        "since 20",
        "What to do:",
    ):
        assert words in told["message"], words
    assert entries()[0]["notified"] == [{"to": "json", "sent": True, "reason": ""}]
    assert entries()[0]["alerts"][0]["told"] == entries()[0]["at"] and entries()[1]["notified"] == []
    good(flights)
    over = cli(*arguments)
    assert over.code == 0 and "cleared: precision<0.97" in over.err
    assert cli(*arguments).code == 0
    assert [one["title"] for one in hook.got[1:]] == ["[mlops] flights@1: cleared: precision<0.97"]
    assert hook.got[1]["type"] == "success" and "Nothing is to be done" in hook.got[1]["message"]
    assert entries()[2]["cleared"] == ["precision<0.97"]


def test_the_end_is_told_when_another_version_does_better(flights, cli, hook):
    arguments = (*WATCH, "--notify", hook.url)
    assert cli(*arguments).code == 1
    world.register(tag="-two")
    world.log("logs", flights.head(20), version="2", prefix="v", process="host-2-0")
    assert cli(*arguments).code == 3  # no labels of the new version yet: neither over nor told
    world.log("logs", flights, version="2", prefix="r", process="host-3-0")
    good(flights)
    assert cli(*arguments).code == 0
    assert [one["title"] for one in hook.got[1:]] == ["[mlops] flights@2: cleared: precision<0.97"]


def test_mail_reaches_a_real_server_and_the_address_may_be_in_a_file(flights, cli, post):
    address = f"mailto://watch:{CANARY}@127.0.0.1:{post.port}?from=watch@example.org&to=owner@example.org&mode=insecure"
    Path("owner.url").write_text(f"# the owner\n\n{address}\n")
    ended = cli(*WATCH, "--notify", "@owner.url")
    assert ended.code == 1 and "told mailto" in ended.err, ended.err
    assert post.logins == [(b"watch", CANARY.encode())]
    (mail,) = post.mails
    message = email.message_from_bytes(mail.content, policy=email.policy.default)
    text = message.get_body().get_content().replace("\r\n", "\n")
    assert mail.rcpt_tos == ["owner@example.org"]
    assert message["subject"] == "[mlops] flights@1: ALERT precision<0.97"
    assert "ALERT: precision<0.97\n  measured 0.9" in text and "watch/flights@production/000001.json" in text
    assert CANARY not in ended.err and CANARY.encode() not in (SERIES / "000001.json").read_bytes()


def test_what_fails_is_tried_twice_ends_with_8_and_is_told_by_the_next_run(flights, cli, hook):
    hook.answers[:] = [500, 200]
    assert cli(*WATCH, "--notify", hook.url).code == 1
    assert len(hook.got) == 2  # once more, and then it went well
    Path("again").mkdir()
    hook.answers[:] = [500]
    arguments = (*WATCH, "-o", "again/series", "--notify", hook.url, "--exec", "echo x >> ran.txt")
    failed = cli(*arguments)
    assert failed.code == 8 and "json was not told" in failed.err and "the next run tells it again" in failed.err
    assert len(hook.got) == 4
    (entry,) = [json.loads(path.read_bytes()) for path in Path("again/series").glob("*.json")]
    assert entry["alerts"][0]["told"] is None and entry["alerts"][0]["done"] == ["exec"]
    assert Path("ran.txt").read_text() == "x\n"  # the command runs whether or not people could be told
    hook.answers[:] = [200]
    assert cli(*arguments).code == 1
    assert len(hook.got) == 5 and Path("ran.txt").read_text() == "x\n"  # and not again because of the mail


def test_one_address_that_fails_does_not_tell_the_others_twice(flights, cli, hook):
    down = "json://127.0.0.1:9/x"
    arguments = (*WATCH, "--notify", hook.url, "--notify", down)
    assert cli(*arguments).code == 8 and cli(*arguments).code == 8
    assert len(hook.got) == 1
    assert [(one["to"], one["sent"]) for one in entries()[0]["notified"]] == [("json", True), ("json#2", False)]


def test_no_secret_of_an_address_is_written_or_said(flights, cli, hook):
    hook.answers[:] = [500]
    url = hook.url.replace("json://", f"json://user:{CANARY}@")
    Path("bad.url").write_text(f"nosuch://{CANARY}@host/{CANARY}\n")
    said = ""
    for notify in (url, url.replace(str(hook.server_port), "9"), f"nosuch://{CANARY}@host", f"{CANARY}", "@bad.url"):
        ended = cli(*WATCH, "--notify", notify, "--json")
        said += ended.out + ended.err
        ended = cli(*WATCH, "--notify", notify, "-n")
        said += ended.out + ended.err
    assert "no address that apprise knows" in said and "json was not told" in said
    Path("bad.url").unlink()
    assert CANARY not in said
    assert CANARY.encode() not in written()


@pytest.mark.parametrize(
    ("more", "code", "says"),
    [
        (("--notify", "@nowhere"), 4, "nowhere: no such file"),
        (("--notify", "@empty"), 4, "it has no address"),
        (("--notify", "fax://1"), 2, "fax://… is no address that apprise knows"),
        (("--cooldown", "soon"), 2, "'soon' is not a cool-down"),
    ],
)
def test_bad_flags_are_one_line_and_leave_nothing(flights, cli, more, code, says):
    Path("empty").write_text("# nobody\n")
    ended = cli(*WATCH, *more)
    assert ended.code == code and says in ended.err, ended.err
    assert "Traceback" not in ended.err and not entries()


def test_without_apprise_the_line_to_install_it(flights, cli, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "apprise", None)
    ended = cli(*WATCH, "--notify", "json://host")
    assert ended.code == 7 and "pip install 'mlops-cli[notify]'" in ended.err


def test_a_dry_run_says_what_would_be_told_and_does_nothing(flights, cli, hook):
    ended = cli(*WATCH, "--notify", hook.url, "--exec", "touch ran.txt", "--prom", "x.prom", "--dry-run")
    assert ended.code == 1
    for words in (
        "would tell json: [mlops] flights@1: ALERT precision<0.97",
        "would run touch ran.txt",
        "95 % interval",
    ):
        assert words in ended.err
    assert not hook.got and not Path("ran.txt").exists() and not Path("x.prom").exists() and not SERIES.exists()


def test_the_command_cools_down_and_the_alert_stays_untold_until_it_has_run(flights, cli, hook):
    arguments = (*WATCH, "--exec", "echo x >> ran.txt", "--cooldown", "6h", "--notify", hook.url)
    assert cli(*arguments).code == 1
    another = ("--alert", "recall<0.99")
    waits = cli(*arguments, *another)
    assert waits.code == 1 and "cools down until" in waits.err
    assert Path("ran.txt").read_text() == "x\n" and len(hook.got) == 2  # people hear of the new alert at once
    last = entries()[-1]
    assert "cools down" in last["waiting"] and last["exec"] is None
    assert [(one["told"] is None, one["done"]) for one in last["alerts"]] == [(False, []), (True, ["json"])]
    (SERIES / ".exec.lock").write_text("2026-01-01T00:00:00.000000Z")  # long ago
    assert cli(*arguments, *another).code == 1
    assert Path("ran.txt").read_text() == "x\nx\n" and len(hook.got) == 2


def test_the_cool_down_outlives_a_run_that_is_killed_and_another_version(flights, cli, shell):
    line = " ".join(f"'{word}'" for word in WATCH)
    assert shell(f"mlops {line} --cooldown 6h --exec 'echo x >> ran.txt; kill -9 $PPID'").code in (-9, 137)
    assert not entries()
    world.register(tag="-two")
    world.log("logs", flights, version="2", prefix="r", process="host-3-0")
    ended = cli(*WATCH, "--cooldown", "6h", "--exec", "echo x >> ran.txt")
    assert ended.code == 1 and "cools down until" in ended.err
    assert Path("ran.txt").read_text() == "x\n"


def test_one_command_at_a_time_even_when_it_outlives_its_run(flights, shell, cli):
    line = " ".join(f"'{word}'" for word in WATCH)
    command = "echo x >> ran.txt; touch running; for i in $(seq 600); do test -e over && break; sleep 0.1; done"
    # Killed while the command runs: the command goes on, and is not started again beside itself.
    shell(
        f"mlops {line} --exec '{command}' 2>/dev/null & pid=$!; "
        "while ! test -e running; do sleep 0.1; done; kill -9 $pid; wait $pid || true"
    )
    ended = cli(*WATCH, "--exec", "echo y >> ran.txt")
    assert ended.code == 1 and "is still running" in ended.err and "still running" in entries()[-1]["waiting"]
    assert Path("ran.txt").read_text() == "x\n" and entries()[-1]["alerts"][0]["told"] is None
    Path("over").touch()
    deadline = time.monotonic() + 60
    while "is still running" in (last := cli(*WATCH, "--exec", "echo y >> ran.txt")).err:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert last.code == 1 and Path("ran.txt").read_text() == "x\ny\n"


def test_no_part_of_an_address_is_left_in_a_reason():
    url = "slack://xoxb-secret/C%40nary/tok3n?key=s3cret%2Fvalue#chan"
    text = f"failed: {url} for C@nary with s3cret/value and tok3n at xoxb-secret"
    found = watch_notify.scrubbed(text, url)
    assert not any(part in found for part in ("xoxb", "nary", "tok3n", "s3cret", "value", "chan"))
    assert found.startswith("failed: slack://***")
