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
    document = policies(person, name="a" * 28)
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
