"""What can be said without running anything: form, style, policies, pages."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from conftest import REPOSITORY, missing

TERRAFORM = REPOSITORY / "terraform"


def test_formatted(offline):
    assert offline.run("fmt", "-recursive", "-check", "-diff", ok=(0, 3)).stdout == ""


def test_valid(offline):
    assert json.loads(offline.run("validate", "-json").stdout)["diagnostics"] == []


def test_bootstrap_is_valid(offline):
    bootstrap = offline.module / "bootstrap"
    offline.init(module=bootstrap)
    assert json.loads(offline.run("validate", "-json", module=bootstrap).stdout)["diagnostics"] == []


def test_both_modules_lock_the_same_provider_for_every_machine():
    main, bootstrap = ((TERRAFORM / where / ".terraform.lock.hcl").read_text() for where in (".", "bootstrap"))
    assert main == bootstrap
    # One per zip that HashiCorp released: macOS, Windows and ARM as well.
    assert main.count('"zh:') == 15


def test_both_registries_are_locked_to_one_version():
    """In a file each: Terraform refuses a read-only lock file with an entry that it does not need."""
    locked = {}
    for file in (".terraform.lock.hcl", "tofu.lock.hcl"):
        text = (TERRAFORM / file).read_text()
        ((registry, rest),) = re.findall(r'^provider "([\w.]+)/hashicorp/aws" \{\n(.*?)^\}', text, re.M | re.S)
        locked[registry] = (re.findall(r'version += "(.*)"', rest), re.findall(r'constraints += "(.*)"', rest))
        # OpenTofu has packages for ten machines.
        assert rest.count('"zh:') >= 10
    assert set(locked) == {"registry.terraform.io", "registry.opentofu.org"}
    assert len({str(value) for value in locked.values()}) == 1, locked


def test_the_untried_provider_is_refused():
    for module in (".", "bootstrap", "removal"):
        text = "".join(path.read_text() for path in sorted((TERRAFORM / module).glob("*.tf")))
        assert re.findall(r'^ +version = "(.*)"', text, re.M) == ["~> 5.100"], module


def test_names_are_those_that_meetctl_accepts():
    """The list with which the Rust tests ask meetctl; both modules say the same."""
    names = [line.split(" ", 1) for line in (Path(__file__).with_name("names.txt")).read_text().splitlines()]
    assert len(names) > 20
    for file in ("variables.tf", "bootstrap/main.tf"):
        body = re.search(r'variable "name" \{(.*?)^\}', (TERRAFORM / file).read_text(), re.M | re.S).group(1)
        wanted, refused = re.findall(r'regex\("([^"]+)", var.name\)', body)
        for verdict, name in names:
            accepted = bool(re.search(wanted, name)) and not re.search(refused, name)
            assert accepted == (verdict == "good"), f"{file}: {name}"


@pytest.mark.parametrize("file, checks", [("service.tf", {"interval = 10", "retries = 10"}), ("ingress.tf", {"interval = 10", "unhealthy_threshold = 10", "healthy_threshold = 2"})])
def test_what_cuts_a_meeting_can_be_found(file, checks):
    """As literals, so that whoever looks for them finds them."""
    said = {re.sub(r" +", " ", line.strip()) for line in (TERRAFORM / file).read_text().splitlines()}
    assert checks <= said


def test_checkov(tmp_path):
    """Every exception stands beside its resource, with a reason."""
    program = os.environ.get("STACK_CHECKOV", "checkov")
    if not Path(program).is_file():
        missing("checkov is not installed")
    done = subprocess.run(
        [program, "--directory", TERRAFORM, "--framework", "terraform", "--output", "json", "--quiet", "--skip-download"],
        capture_output=True,
        text=True,
        # Nothing to send and nobody to ask.
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "HTTPS_PROXY": "http://127.0.0.1:9", "LOG_LEVEL": "ERROR"},
        timeout=300,
    )
    report = json.loads(done.stdout[done.stdout.index("{") if "{" in done.stdout else 0 :])
    report = report[0] if isinstance(report, list) else report
    failed = [(f["check_id"], f["resource"], f["check_name"]) for f in report.get("results", {}).get("failed_checks", [])]
    assert failed == []
    assert report["summary"]["passed"] > 100, "nothing was looked at"


def test_every_exception_has_a_reason():
    for path in TERRAFORM.rglob("*.tf"):
        for line in re.findall(r"#checkov:skip=.*", path.read_text()):
            assert re.fullmatch(r"#checkov:skip=CKV2?_AWS_\d+:\S.{20,}", line), f"{path.name}: {line}"


def test_every_variable_and_output_is_described_and_documented():
    guide = (REPOSITORY / "docs" / "guide-aws.md").read_text()
    for path in TERRAFORM.rglob("*.tf"):
        for kind, name, body in re.findall(r'^(variable|output) "(\w+)" \{\n(.*?)^\}', path.read_text(), re.M | re.S):
            assert "description" in body, f"{kind} {name}"
            if path.parent == TERRAFORM:
                assert f"| `{name}` |" in guide, f"docs/guide-aws.md lacks the {kind} {name}"


def test_every_jitsi_value_is_documented():
    """Each setting in jitsi-config, by its name, on docs/jitsi-config.md."""
    page = (REPOSITORY / "docs" / "jitsi-config.md").read_text()
    web = REPOSITORY / "jitsi-config" / "web"
    settings = set(re.findall(r"^config\.([\w.]+) = (?!config)", (web / "custom-config.js.tftpl").read_text(), re.M))
    settings |= set(re.findall(r"^interfaceConfig\.(\w+)", (web / "custom-interface_config.js.tftpl").read_text(), re.M))
    settings |= set(re.findall(r'"(\w+)":', (web / "branding" / "branding.json.tftpl").read_text()))
    for file in ("prosody/zz-meetctl.cfg.lua", "jicofo/custom-jicofo.conf", "jvb/custom-jvb.conf"):
        settings |= set(re.findall(r"^\s*([\w-]+) = ", (REPOSITORY / "jitsi-config" / file).read_text(), re.M))
    environment = (TERRAFORM / "service.tf").read_text()
    settings |= set(re.findall(r"\b([A-Z][A-Z0-9]+(?:_[A-Z0-9]+)+)\s*=", environment))
    missing = {name for name in settings if f"`{name}`" not in page}
    assert missing == set()


@pytest.mark.parametrize("person", ["viewer", "operator", "deployer"])
def test_policies(policies, person):
    document = policies(person, name="a" * 24)
    assert document["Version"] == "2012-10-17"
    # The limit of a managed policy, without white space.
    assert len(re.sub(r"\s", "", json.dumps(document))) <= 6144
    for statement in document["Statement"]:
        assert statement["Effect"] == "Allow"
        assert "*" not in statement["Action"]
        assert all(":" in action for action in statement["Action"])


# What `meetctl` calls. The Rust tests record the calls themselves; this is the list that was agreed on.
VIEWER = """
    sts:GetCallerIdentity ecs:DescribeServices ecs:ListTasks ecs:DescribeTasks ecs:DescribeTaskDefinition
    elasticloadbalancing:DescribeLoadBalancers elasticloadbalancing:DescribeListeners
    elasticloadbalancing:DescribeTargetGroups elasticloadbalancing:DescribeTargetHealth
    route53:ListHostedZonesByName route53:ListResourceRecordSets secretsmanager:DescribeSecret
    logs:DescribeLogGroups logs:GetLogEvents logs:FilterLogEvents tag:GetResources
""".split()


def test_viewer_and_operator_may_do_what_meetctl_does_and_no_more(policy_actions):
    assert policy_actions("viewer") == set(VIEWER)
    assert policy_actions("operator") == {*VIEWER, "ecs:UpdateService", "ecs:TagResource", "ecs:UpdateTaskProtection"}


def test_the_containers_can_start_and_stop_nothing():
    task = re.search(r'data "aws_iam_policy_document" "task" \{.*?^\}', (TERRAFORM / "iam.tf").read_text(), re.M | re.S).group()
    assert set(re.findall(r'"(\w+:\w+)"', task)) == {"ecs:GetTaskProtection", "ecs:UpdateTaskProtection"}
