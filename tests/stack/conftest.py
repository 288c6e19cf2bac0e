"""One moto and one platform on it for all tests; nothing outside temporary folders, nobody but loopback."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from string import Template
from typing import NamedTuple

import boto3
import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
ACCOUNT = "123456789012"
REGION = "us-west-2"
NAME = "jitsi-video-platform"
DOMAIN = "meet.example.org"


def missing(what: str):
    """Skips the test, or fails it in CI."""
    (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(what)


def need(program: str) -> str:
    """The program's path."""
    found = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    return found or missing(f"`{program}` is not installed")


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def require():
    return need


def policy(person: str, **values: str) -> dict:
    """One of the policies in terraform/policies, its placeholders filled."""
    text = (REPOSITORY / "terraform" / "policies" / f"{person}.json.tftpl").read_text()
    defaults = {"account": ACCOUNT, "region": REGION, "name": NAME, "zone_id": "Z0123456789"}
    return json.loads(Template(text).substitute(defaults | values))


@pytest.fixture(scope="session")
def policies():
    return policy


@pytest.fixture(scope="session")
def policy_actions():
    return lambda person: {action for statement in policy(person)["Statement"] for action in statement["Action"]}


class Moto(NamedTuple):
    url: str
    calls: Path

    def calls_since(self, seen: int = 0) -> list[str]:
        """Terraform's calls, as IAM names them, without the first ones."""
        return [call.replace("elbv2:", "elasticloadbalancing:") for call in self.calls.read_text().split()[seen:]]


@pytest.fixture(scope="session")
def moto(tmp_path_factory):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = tmp_path_factory.mktemp("moto")
    log = (folder / "log").open("w")
    server = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("moto_gaps.py"), str(port), folder / "calls"],
        stdout=log,
        stderr=log,
        env={"PATH": os.environ["PATH"], "HOME": log.name, "MOTO_ACM_VALIDATION_WAIT": "1"},
    )
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            assert server.poll() is None, Path(log.name).read_text()
            time.sleep(0.2)
    yield Moto(f"http://127.0.0.1:{port}", folder / "calls")
    server.terminate()
    server.wait(10)


@pytest.fixture(scope="session")
def aws(moto):
    """Clients for moto."""
    return lambda service, region=REGION: boto3.client(
        service, region_name=region, endpoint_url=moto.url, aws_access_key_id="test", aws_secret_access_key="test"
    )


class Terraform:
    """A copy of the modules in a temporary folder, and the program run in it."""

    def __init__(self, program: str, folder: Path, endpoint: str | None):
        self.program = program
        self.folder = folder
        self.module = folder / "terraform"
        clean = shutil.ignore_patterns(".terraform", "*.tfstate*", "*.tfplan")
        shutil.copytree(REPOSITORY / "terraform", self.module, ignore=clean)
        shutil.copytree(REPOSITORY / "jitsi-config", folder / "jitsi-config")
        inherited = ("PATH", "TF_CLI_CONFIG_FILE", "TF_PLUGIN_CACHE_DIR")
        self.environment = {key: os.environ[key] for key in inherited if key in os.environ} | {
            "HOME": str(folder),
            "CHECKPOINT_DISABLE": "1",
            "TF_IN_AUTOMATION": "1",
            "TF_INPUT": "0",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            # What is not to be reached answers at once.
            "AWS_MAX_ATTEMPTS": "2",
            "HTTPS_PROXY": "http://127.0.0.1:9" if endpoint else "",
            "NO_PROXY": "127.0.0.1",
        }
        if endpoint:
            self.environment["AWS_ENDPOINT_URL"] = endpoint

    def run(self, *arguments: str, module: Path | None = None, ok=(0,), proxy: bool = True) -> subprocess.CompletedProcess:
        environment = self.environment if proxy else {k: v for k, v in self.environment.items() if k != "HTTPS_PROXY"}
        done = subprocess.run(
            [self.program, *arguments],
            cwd=module or self.module,
            env=environment,
            capture_output=True,
            text=True,
            timeout=900,
        )
        assert done.returncode in ok, f"terraform {' '.join(arguments)}\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
        return done

    def init(self, *arguments: str, module: Path | None = None) -> None:
        """Without the proxy to nowhere: the provider may come from the registry."""
        done = self.run("init", "-no-color", "-lockfile=readonly", *arguments, module=module, ok=(0, 1), proxy=False)
        if "Failed to query available provider packages" in done.stderr:
            missing("the AWS provider cannot be had: no registry, and no mirror in TF_CLI_CONFIG_FILE")
        if "Unsupported Terraform Core version" in done.stderr:
            missing("terraform is older than 1.11")
        assert done.returncode == 0, done.stderr

    def plan(self, **variables) -> dict:
        """Changes as {address: actions}, and what the plan wants to change of each."""
        given = [f"-var={key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in variables.items()]
        self.planned = self.run("plan", "-no-color", "-out=next.tfplan", *given)
        shown = json.loads(self.run("show", "-json", "next.tfplan").stdout)
        return {
            change["address"]: "/".join(change["change"]["actions"])
            for change in shown.get("resource_changes", [])
            if change["change"]["actions"] not in (["no-op"], ["read"])
        }

    def said(self) -> str:
        """What the last plan said, without frames and line ends."""
        return " ".join(re.sub("[│╷╵]", " ", self.planned.stdout).split())

    def apply(self) -> None:
        """Applies exactly the plan that was looked at."""
        self.run("apply", "-no-color", "next.tfplan")

    def become(self, **variables) -> dict:
        """Plans and applies, and fails unless nothing is left to be planned then. What was planned."""
        changes = self.plan(**variables)
        self.apply()
        assert (left := self.plan(**variables)) == {}, left
        return changes

    def rendered_script(self) -> str:
        """The script of the container `config`; needs no AWS."""
        done = subprocess.run(
            [self.program, "console", f"-var=domain={DOMAIN}"],
            cwd=self.module,
            env=self.environment,
            input="jsonencode(local.config_script)\n",
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(json.loads(done.stdout))

    def outputs(self) -> dict:
        return {key: value["value"] for key, value in json.loads(self.run("output", "-json").stdout).items()}

    def state(self) -> str:
        return self.run("state", "pull").stdout


@pytest.fixture(scope="session")
def terraform_program():
    return need("terraform")


@pytest.fixture(scope="session")
def offline(terraform_program, tmp_path_factory):
    """The modules with a local state and without an AWS."""
    stack = Terraform(terraform_program, tmp_path_factory.mktemp("offline"), None)
    (stack.module / "backend_override.tf").write_text('terraform {\n  backend "local" {}\n}\n')
    stack.init()
    return stack


class Platform(Terraform):
    variables = {
        "domain": DOMAIN,
        "account_id": ACCOUNT,
        "alarm_emails": ["somebody@example.org"],
        "program": {"name": "terraform", "version": "1.11.4"},
    }

    def plan(self, **variables) -> dict:
        return super().plan(**(self.variables | variables))

    def bootstrap(self, name: str) -> None:
        """Makes the bucket for the state, and uses it."""
        module = self.module / "bootstrap"
        self.init(module=module)
        self.run("apply", "-no-color", "-auto-approve", f"-var=name={name}", module=module)
        bucket = json.loads(self.run("output", "-json", module=module).stdout)
        self.backend = [f"-backend-config={key}={bucket[key]['value']}" for key in ("bucket", "key")]
        self.backend.append(f"-backend-config=region={REGION}")
        self.init(*self.backend)


@pytest.fixture(scope="session")
def platform(terraform_program, tmp_path_factory, moto, aws):
    """Bootstrapped, initialised with the S3 backend, and applied once."""
    stack = Platform(terraform_program, tmp_path_factory.mktemp("platform"), moto.url)
    aws("route53").create_hosted_zone(Name="example.org", CallerReference="test")
    stack.bootstrap(NAME)

    stack.first_plan = stack.plan()
    stack.apply()
    stack.secret_keys = set(json.loads(aws("secretsmanager").get_secret_value(SecretId=f"{NAME}-jitsi-secrets")["SecretString"]))
    # As Terraform wrote it, not as moto completed it.
    shown = json.loads(stack.run("show", "-json").stdout)
    stack.resources = {r["address"]: r["values"] for r in shown["values"]["root_module"]["resources"]}
    stack.target_groups = {at: r["health_check"][0] for at, r in stack.resources.items() if at.startswith("aws_lb_target_group.")}
    stack.rendered = json.loads(stack.resources["aws_ecs_task_definition.this"]["container_definitions"])
    stack.containers = {container["name"]: container for container in stack.rendered}
    return stack
