"""Runs jitsi-config/occupancy.sh against HTTP servers on loopback that answer as jicofo, the bridge and the ECS agent."""

import json
import os
import subprocess
import threading
import time
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

STATS = {
    "conferences": 3,
    "participants": 9,
    "healthy": True,
    "bridge_selector": {"bridge_count": 1, "operational_bridge_count": 1},
}
BRIDGE = {
    "endpoints": 7,
    "stress_level": 0.07,
    "graceful_shutdown": False,
    "overall_loss": 0.012,
    "total_ice_failed": 2,
    "total_bytes_sent": 123456789,
}
HEALTH_ROOM = "__jicofo-health-check--5577006791947779410@muc.meet.jitsi"
PROBE_ROOM = "meetctl-probe-1a2b3c4d@muc.meet.jitsi"


class Task:
    """The answers that the script gets, by path: a value is sent as JSON, a string as it is, None is a 500."""

    def __init__(self):
        self.answers = {}
        self.protection = []
        self.agent_status = 200
        task = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                answer = task.answers.get(self.path)
                if callable(answer):
                    answer = answer()
                body = answer if isinstance(answer, str) else json.dumps(answer)
                self.send_response(500 if answer is None else 200)
                self.end_headers()
                self.wfile.write(body.encode())

            def do_PUT(self):
                assert self.path == "/task-protection/v1/state"
                task.protection.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(task.agent_status)
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.meeting({HEALTH_ROOM: 0})

    def meeting(self, rooms, stats=STATS, bridge=BRIDGE):
        self.answers = {"/debug": {"focus_manager": rooms, "bridge_selector": {}}, "/stats": stats, "/colibri/stats": bridge}


@pytest.fixture
def task(require):
    require("jq"), require("curl"), require("bash")
    task = Task()
    yield task
    task.server.shutdown()


class Counter:
    def __init__(self, repository, url, **more):
        script = (repository / "jitsi-config" / "occupancy.sh").read_text()
        environment = {"PATH": os.environ["PATH"], "JICOFO_URL": url, "JVB_URL": url, "ECS_AGENT_URI": url, "OCCUPANCY_EVERY": "0.2"}
        # As ECS starts it: entry point `bash -c`, the script as its argument.
        self.process = subprocess.Popen(
            ["bash", "-c", script], env=environment | more, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def line(self):
        return json.loads(self.process.stdout.readline())

    def stop(self):
        started = time.monotonic()
        self.process.terminate()
        out, err = self.process.communicate(timeout=10)
        assert time.monotonic() - started < 5, "must stop at once"
        return out, err


@pytest.fixture
def start(repository):
    started = []

    def begin(url, **more):
        started.append(Counter(repository, url, **more))
        return started[-1]

    yield begin
    for counter in started:
        if counter.process.poll() is None:
            counter.process.kill()
            counter.process.communicate()


def quiet(counter, seconds=1.2):
    """What it says in a while, on both streams."""
    time.sleep(seconds)
    out, err = counter.stop()
    return out + err


def test_the_line_is_the_one_that_readers_expect(task, start):
    task.meeting({HEALTH_ROOM: 0, "ne3d@muc.meet.jitsi": 7})
    line = start(task.url).line()
    when = datetime.strptime(line.pop("time"), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    assert abs((datetime.now(timezone.utc) - when).total_seconds()) < 10
    assert line == {
        "type": "occupancy",
        "conferences": 1,
        "participants": 7,
        "jicofo": {"healthy": True, "bridge_selector": {"operational_bridge_count": 1}},
        "jvb": {
            "endpoints": 7,
            "stress_level": 0.07,
            "graceful_shutdown": False,
            "loss": 0.012,
            "ice_failed": 2,
            "total_bytes_sent": 123456789,
        },
    }


def test_what_only_graphs_need_may_be_missing(task, start):
    """A line without is a line all the same, and says that it does not know."""
    task.meeting({"ne3d@muc.meet.jitsi": 7}, bridge={k: BRIDGE[k] for k in ("endpoints", "stress_level", "graceful_shutdown")})
    line = start(task.url).line()
    assert line["participants"] == 7
    assert [line["jvb"][key] for key in ("loss", "ice_failed", "total_bytes_sent")] == [None, None, None]


@pytest.mark.parametrize(
    "rooms, conferences, participants",
    [
        ({}, 0, 0),
        ({HEALTH_ROOM: 0}, 0, 0),
        ({PROBE_ROOM: 2}, 0, 0),
        ({PROBE_ROOM: 2, "ne3d@muc.meet.jitsi": 3, "rgc3@muc.meet.jitsi": 4}, 2, 7),
        ({"ne3d@muc.meet.jitsi": 0}, 1, 1),
        ({"my-meetctl-probe-1@muc.meet.jitsi": 2}, 1, 2),
    ],
    ids=["no room", "health check", "rehearsal", "two meetings and a rehearsal", "one person waits", "prefix inside a name"],
)
def test_who_counts(task, start, rooms, conferences, participants):
    task.meeting(rooms)
    line = start(task.url).line()
    assert (line["conferences"], line["participants"]) == (conferences, participants)


@pytest.mark.parametrize("debug", [None, "not json", {}, {"focus_manager": None}, {"focus_manager": {"a@b": {"name": "a"}}}])
def test_rooms_that_cannot_be_named_count_as_occupied(task, start, debug):
    task.answers["/debug"] = debug
    if debug == "not json":
        assert quiet(start(task.url)) == ""
    else:
        assert start(task.url).line()["conferences"] == 3


@pytest.mark.parametrize(
    "path, answer",
    [
        ("/stats", None),
        ("/stats", "not json"),
        ("/stats", ""),
        ("/stats", {}),
        ("/stats", STATS | {"healthy": None}),
        ("/colibri/stats", None),
        ("/colibri/stats", {}),
        ("/colibri/stats", BRIDGE | {"graceful_shutdown": "no"}),
    ],
)
def test_what_cannot_be_read_prints_nothing(task, start, path, answer):
    task.answers[path] = answer
    assert quiet(start(task.url)) == ""
    assert task.protection == []


def test_nobody_answers(start):
    assert quiet(start("http://127.0.0.1:9")) == ""


def test_it_comes_back_by_itself(task, start):
    good = task.answers["/stats"]
    task.answers["/stats"] = None
    counter = start(task.url)
    time.sleep(0.8)
    task.answers["/stats"] = good
    assert counter.line()["conferences"] == 0


def until(condition, seconds=8):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def test_the_task_is_protected_while_people_meet(task, start):
    counter = start(task.url)
    counter.line()
    assert task.protection == [], "an empty platform asks for nothing"
    task.meeting({"ne3d@muc.meet.jitsi": 2})
    assert until(lambda: task.protection)
    assert task.protection == [{"ProtectionEnabled": True, "ExpiresInMinutes": 30}]
    time.sleep(1)
    assert len(task.protection) == 1, "not at every round"
    task.meeting({PROBE_ROOM: 2})
    assert until(lambda: len(task.protection) == 2)
    assert task.protection[1] == {"ProtectionEnabled": False}
    time.sleep(0.8)
    assert len(task.protection) == 2


def test_protection_is_renewed(task, start):
    task.meeting({"ne3d@muc.meet.jitsi": 2})
    start(task.url, OCCUPANCY_RENEW="1")
    assert until(lambda: len(task.protection) >= 2)


def test_protection_stays_while_nothing_can_be_seen(task, start):
    task.meeting({"ne3d@muc.meet.jitsi": 2})
    counter = start(task.url)
    counter.line()
    assert until(lambda: task.protection)
    task.answers["/stats"] = None
    time.sleep(1)
    assert task.protection == [{"ProtectionEnabled": True, "ExpiresInMinutes": 30}]


def test_a_refused_protection_is_asked_for_again_and_counting_goes_on(task, start):
    task.agent_status = 500
    task.meeting({"ne3d@muc.meet.jitsi": 2})
    counter = start(task.url)
    assert counter.line()["conferences"] == 1
    assert until(lambda: len(task.protection) >= 2)
    assert counter.line()["conferences"] == 1
