"""What Terraform renders, given to the programs that will read it."""

import json
import os
import re
import socket
import subprocess
import time
import urllib.error
import urllib.request
import xml.etree.ElementTree as xml
from datetime import datetime

import botocore.session
import pytest
from botocore.validate import ParamValidator
from pyhocon import ConfigFactory

from conftest import DOMAIN, NAME

JITSI = ("web", "prosody", "jicofo", "jvb")
LIMIT = 64 * 1024


def test_ecs_accepts_the_containers(platform):
    """botocore's own model of RegisterTaskDefinition: unknown keys, wrong types, missing members."""
    model = botocore.session.get_session().get_service_model("ecs").operation_model("RegisterTaskDefinition").input_shape
    asked = {"family": NAME, "containerDefinitions": platform.rendered}
    report = ParamValidator().validate(asked, model)
    assert not report.has_errors(), report.generate_report()


def test_ecs_has_room_for_them(platform):
    size = len(json.dumps(platform.rendered, separators=(",", ":")))
    print(f"{size} bytes of {LIMIT}")
    # Half stays free for a theme of one's own.
    assert size < LIMIT / 2


def test_containers_are_what_readers_expect(platform):
    assert set(platform.containers) == {"config", *JITSI, "occupancy"}
    assert {name for name, c in platform.containers.items() if c["essential"]} == set(JITSI)
    for name, container in platform.containers.items():
        options = container["logConfiguration"]["options"]
        # awslogs: PREFIX/CONTAINER/TASK
        assert (options["awslogs-group"], options["awslogs-stream-prefix"]) == (f"/ecs/{NAME}", name)
        assert container["image"].startswith("ghcr.io/jitsi/") and container["image"].endswith(":stable-11146-2")
    for name in JITSI:
        assert platform.containers[name]["healthCheck"]["command"][0] == "CMD-SHELL", "ECS needs one of each essential container"
        assert {"containerName": "config", "condition": "SUCCESS"} in platform.containers[name]["dependsOn"]


def test_nothing_waits_for_anothers_health(platform):
    """nginx, jicofo and the bridge try again by themselves; the counter only needs those that it asks to be started."""
    waits = {(c["name"], wait["containerName"], wait["condition"]) for c in platform.rendered for wait in c.get("dependsOn") or []}
    assert waits == {(name, "config", "SUCCESS") for name in JITSI} | {("occupancy", name, "START") for name in ("jicofo", "jvb")}


# ECS replaces a task that a container check or a target group calls unhealthy, with everybody in it.
FORGIVEN = 90


def test_a_silent_container_is_forgiven_for_long(platform):
    """From the first check that fails to the one that is too many: the fastest way to fail."""
    checks = {name: platform.containers[name]["healthCheck"] for name in JITSI}
    cut = {name: check["interval"] * (check["retries"] - 1) for name, check in checks.items()}
    assert min(cut.values()) >= FORGIVEN, cut


def test_a_silent_target_is_forgiven_for_long(platform):
    groups = platform.target_groups
    assert set(groups) == {"aws_lb_target_group.web", "aws_lb_target_group.jvb[0]"}
    cut = {name: check["interval"] * (check["unhealthy_threshold"] - 1) for name, check in groups.items()}
    assert min(cut.values()) >= FORGIVEN, cut
    # Trusted again at the second good answer.
    assert all(check["healthy_threshold"] == 2 and check["timeout"] < check["interval"] for check in groups.values())


def test_checks_ask_nobody_else(platform):
    """Liveness: jicofo's own health would be the bridge's and prosody's."""
    asked = {name: platform.containers[name]["healthCheck"]["command"][1] for name in JITSI}
    assert ":8888/about/version" in asked["jicofo"]
    assert ":8000/ " in asked["web"] and ":5280/health" in asked["prosody"] and ":8080/about/health" in asked["jvb"]


def test_the_bridge_has_one_address_and_cannot_be_drained(platform, delivered):
    bridge = {e["name"]: e["value"] for e in platform.containers["jvb"]["environment"]}
    assert not any("SHUTDOWN" in name for name in bridge)
    assert bridge["JVB_ADVERTISE_PRIVATE_CANDIDATES"] == "0"
    conf = ConfigFactory.parse_string((delivered / "jvb/custom-jvb.conf").read_text(), resolve=True)
    assert conf["ice4j.harvest.use-link-local-addresses"] is False
    assert "shutdown" not in conf["videobridge"]


def test_rate_limits_see_who_calls(platform):
    """Without the caller's address, everybody would share one limit."""
    prosody = {e["name"]: e["value"] for e in platform.containers["prosody"]["environment"]}
    assert prosody["PROSODY_ENABLE_RATE_LIMITS"] == "1"
    # A whole meeting behind one address comes back at once.
    assert int(prosody["PROSODY_RATE_LIMIT_LOGIN_RATE"]) >= 30
    assert platform.resources["aws_lb_target_group.web"]["preserve_client_ip"] == "true"


def test_numbers_are_within_what_ecs_allows(platform):
    for container in platform.rendered:
        check = container.get("healthCheck")
        if check:
            assert 5 <= check["interval"] <= 300 and 2 <= check["timeout"] <= 60
            assert 1 <= check["retries"] <= 10 and 0 <= check["startPeriod"] <= 300
        for timeout in ("startTimeout", "stopTimeout"):
            assert 2 <= container.get(timeout, 30) <= 120
        if "restartPolicy" in container:
            assert 60 <= container["restartPolicy"]["restartAttemptPeriod"] <= 1800


def test_secrets_name_their_keys(platform):
    for container in platform.rendered:
        for secret in container.get("secrets", []):
            arn, key = re.fullmatch(r"(arn:aws:secretsmanager:.*:secret:[^:]+):([A-Z_]+)::", secret["valueFrom"]).groups()
            assert key in platform.secret_keys and key == secret["name"]
        assert not any("PASSWORD" in variable["name"] for variable in container.get("environment", []))


# --- The files that the container `config` delivers ---------------------------------------------------------------


def test_the_container_runs_the_script(platform, offline):
    config = platform.containers["config"]
    assert config["entryPoint"] == ["bash", "-c"] and config["command"] == [offline.rendered_script()]
    assert config["user"] == "0" and {m["containerPath"] for m in config["mountPoints"]} == {f"/out/{name}" for name in JITSI}


@pytest.fixture(scope="module")
def delivered(offline, tmp_path_factory, require):
    """Runs the rendered script, with /out in a temporary folder."""
    out = tmp_path_factory.mktemp("delivered")
    script = offline.rendered_script()
    bash = require("bash")
    subprocess.run([bash, "-n", "-c", script], check=True)
    subprocess.run([bash, "-c", script.replace("/out/", f"{out}/")], check=True, capture_output=True)
    return out


def test_all_files_arrive(delivered):
    found = {str(path.relative_to(delivered)) for path in delivered.rglob("*") if path.is_file()}
    assert found == {
        "web/custom-config.js",
        "web/custom-interface_config.js",
        "web/nginx-custom/branding.conf",
        "web/nginx-custom/headers.conf",
        "web/branding/branding.json",
        "web/branding/title.html",
        "web/branding/logo.svg",
        "web/branding/background.svg",
        "prosody/conf.d/zz-meetctl.cfg.lua",
        "jicofo/custom-jicofo.conf",
        "jvb/custom-jvb.conf",
    }
    # The Jitsi containers run as uid 1000 and read what root wrote.
    assert all(path.stat().st_mode & 0o444 == 0o444 for path in delivered.rglob("*"))


def test_occupancy_parses(repository, require):
    subprocess.run([require("bash"), "-n", repository / "jitsi-config" / "occupancy.sh"], check=True)


def seconds(duration) -> float:
    """HOCON's `10 seconds`, whichever type the parser has for it."""
    start = datetime(2000, 1, 1)
    return (start + duration - start).total_seconds()


@pytest.mark.parametrize("file, root", [("jicofo/custom-jicofo.conf", "jicofo"), ("jvb/custom-jvb.conf", "videobridge")])
def test_hocon(delivered, file, root):
    health = ConfigFactory.parse_string((delivered / file).read_text(), resolve=True)[root]["health"]
    assert seconds(health["interval"]) == 10
    # A check whose time-out is not above its interval fails for lack of a check.
    assert seconds(health["timeout"]) > seconds(health["interval"])


def test_branding_is_json_and_svg(delivered):
    branding = json.loads((delivered / "web/branding/branding.json").read_text())
    assert branding["logoImageUrl"] == f"https://{DOMAIN}/branding/logo.svg"
    for picture in ("logo.svg", "background.svg"):
        assert xml.parse(delivered / "web/branding" / picture).getroot().tag.endswith("svg")


def test_javascript(delivered, require, tmp_path):
    """Appended to the variables that Jitsi's own files declare, it runs and sets what it says."""
    node = require("node")
    program = "var config = {}; var interfaceConfig = {};\n"
    program += (delivered / "web/custom-config.js").read_text() + (delivered / "web/custom-interface_config.js").read_text()
    program += "\nconsole.log(JSON.stringify([config, interfaceConfig]))"
    (tmp_path / "all.js").write_text(program)
    config, interface = json.loads(subprocess.run([node, tmp_path / "all.js"], check=True, capture_output=True, text=True).stdout)
    assert config["channelLastN"] == 12 and config["p2p"]["enabled"] is True
    assert interface["APP_NAME"] == "AWS Aerospace"


def test_prosody(delivered, require, tmp_path):
    """prosodyctl reads our file the way Jitsi's configuration includes it."""
    prosodyctl = require("prosodyctl")
    conf = tmp_path / "conf.d"
    conf.mkdir()
    (tmp_path / "certs").mkdir()
    (conf / "jitsi-meet.cfg.lua").write_text('VirtualHost "meet.jitsi"\n  authentication = "anonymous"\n')
    (conf / "zz-meetctl.cfg.lua").write_text((delivered / "prosody/conf.d/zz-meetctl.cfg.lua").read_text())
    (tmp_path / "prosody.cfg.lua").write_text(
        f'data_path = "{tmp_path}"\npidfile = "{tmp_path}/pid"\nlog = {{ error = "*console" }}\n'
        'modules_enabled = { "roster"; "saslauth"; "tls"; "disco"; "bosh"; }\nhttp_ports = { 5280 }\n'
        'Include "conf.d/*.cfg.lua"\n'
    )
    done = subprocess.run(
        [prosodyctl, "--root", "--config", tmp_path / "prosody.cfg.lua", "check", "config"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(tmp_path)},
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0 and "All checks passed" in said, said
    assert str(conf / "zz-meetctl.cfg.lua") in said, "must be among the files that were loaded"


def test_prosody_takes_our_reconnect_time(delivered, require, tmp_path):
    """Jitsi's file, read before ours, has a minute; accounts of jicofo and the bridge keep their own."""
    lua = require("lua")
    require("prosodyctl")
    conf = tmp_path / "conf.d"
    conf.mkdir()
    (conf / "jitsi-meet.cfg.lua").write_text(
        'smacks_hibernation_time = 60\nVirtualHost "meet.jitsi"\nVirtualHost "auth.meet.jitsi"\n  smacks_hibernation_time = 15\n'
    )
    (conf / "zz-meetctl.cfg.lua").write_text((delivered / "prosody/conf.d/zz-meetctl.cfg.lua").read_text())
    (tmp_path / "prosody.cfg.lua").write_text('Include "conf.d/*.cfg.lua"\n')
    program = f"""
        package.path = "/usr/lib/prosody/?.lua;" .. package.path
        package.cpath = "/usr/lib/prosody/?.so;" .. package.cpath
        -- Prosody 13 names its modules after itself.
        table.insert(package.searchers, function(name)
            local file = package.searchpath(name:gsub("^prosody%.", ""), package.path)
            return file and loadfile(file), file
        end)
        CFG_CONFIGDIR = "{tmp_path}"
        local config = require "core.configmanager"
        assert(config.load("{tmp_path}/prosody.cfg.lua"))
        print(config.get("meet.jitsi", "smacks_hibernation_time"), config.get("auth.meet.jitsi", "smacks_hibernation_time"))
    """
    done = subprocess.run([lua, "-e", program], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.split() == ["30", "15"], done.stderr


def test_nginx_serves_the_brand(delivered, require, tmp_path):
    """nginx accepts our file where Jitsi's server includes it, and serves logo, branding and title through it."""
    nginx = require("nginx")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    page = tmp_path / "page"
    page.mkdir()
    (page / "index.html").write_text('<html><!--#include virtual="title.html" --></html>')
    (page / "title.html").write_text("<title>Jitsi Meet</title>")
    ours = (delivered / "web/nginx-custom/branding.conf").read_text().replace("/run/web/config", str(delivered / "web"))
    (tmp_path / "branding.conf").write_text(ours)
    (tmp_path / "headers.conf").write_text((delivered / "web/nginx-custom/headers.conf").read_text())
    # The parts of upstream's server that ours has to get along with.
    (tmp_path / "nginx.conf").write_text(f"""
        {"user root;" if os.geteuid() == 0 else ""} worker_processes 1; daemon off; pid {tmp_path}/pid; error_log {tmp_path}/error.log;
        events {{}}
        http {{
            types {{ text/html html; image/svg+xml svg; application/json json; }}
            access_log off;
            client_body_temp_path {tmp_path}/b; proxy_temp_path {tmp_path}/p; fastcgi_temp_path {tmp_path}/f;
            uwsgi_temp_path {tmp_path}/u; scgi_temp_path {tmp_path}/s;
            server {{
                listen 127.0.0.1:{port};
                root {page};
                ssi on;
                index index.html;
                add_header X-Content-Type-Options nosniff;
                include {tmp_path}/branding.conf;
                include {tmp_path}/headers.conf;
                location ~ ^/(libs|css|static|images)/(.*)$ {{ alias {page}/$1/$2; }}
                location ~ ^/([^/?&:'"]+)$ {{ try_files $uri @root_path; }}
                location @root_path {{ rewrite ^/(.*)$ / break; }}
                location ~ ^/([^/?&:'"]+)/(.*)$ {{ rewrite ^/([^/?&:'"]+)/(.*)$ /$2; }}
            }}
        }}""")
    command = [nginx, "-e", f"{tmp_path}/error.log", "-p", str(tmp_path), "-c", f"{tmp_path}/nginx.conf"]
    checked = subprocess.run([*command, "-t"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        def get(path):
            for _ in range(50):
                try:
                    return urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5)
                except urllib.error.HTTPError:
                    raise
                except OSError:
                    time.sleep(0.1)
            raise AssertionError("nginx did not come up")

        logo = get("/branding/logo.svg")
        assert logo.headers["Content-Type"] == "image/svg+xml" and b"<svg" in logo.read()
        assert json.loads(get("/branding/branding.json").read())["inviteDomain"] == DOMAIN
        for path in ("/", "/some-room"):
            page = get(path)
            assert b"<title>AWS Aerospace</title>" in page.read()
            assert page.headers["Strict-Transport-Security"] == "max-age=31536000"
            # Embedding stays possible, and nothing is said about scripts, unless asked for.
            assert page.headers["Content-Security-Policy"] == "object-src 'none'; base-uri 'self'"
            assert page.headers["Content-Security-Policy-Report-Only"] is None
            assert page.headers["X-Content-Type-Options"] == "nosniff", "ours come beside Jitsi's"
    finally:
        server.terminate()
        server.wait(10)
