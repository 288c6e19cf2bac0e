"""The life of a platform on moto, with real Terraform and the real AWS provider: each step plans, and applies that plan.
The tests build on each other, in this order."""

import json
import re
import threading
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import policy_sentry
import pytest

from conftest import ACCOUNT, DOMAIN, NAME, REGION

# What has a price by the hour, and only that, comes and goes with the power level.
PRICED = {
    "aws_eip.media[0]",
    "aws_lb.this[0]",
    "aws_lb_listener.https[0]",
    "aws_lb_listener.media[0]",
}
# What follows along: the service lets go of the balancer, the task of its address, two alarms of their balancer; and the
# name leads to the placeholder.
FOLLOWING = {
    "aws_ecs_service.this": "update",
    "aws_ecs_task_definition.this": "create/delete",
    "aws_route53_record.meet": "update",
    'aws_cloudwatch_metric_alarm.unhealthy_targets["jvb"]': "update",
    'aws_cloudwatch_metric_alarm.unhealthy_targets["web"]': "update",
}


def test_the_first_plan_only_creates(platform):
    assert set(platform.first_plan.values()) == {"create"}
    assert PRICED <= set(platform.first_plan)


def test_a_second_plan_is_empty(platform):
    assert platform.plan() == {}


def test_names_and_outputs(platform, aws):
    out = platform.outputs()
    assert out["cluster_name"] == f"{NAME}-cluster"
    assert out["service_name"] == f"{NAME}-service"
    assert out["log_group_name"] == f"/ecs/{NAME}"
    assert out["recordings_bucket"] == f"{NAME}-recordings-{ACCOUNT}"
    assert f":secret:{NAME}-jitsi-secrets-" in out["secret_arn"]
    assert f"/{NAME}-nlb/" in out["load_balancer_arn"]
    assert set(out["target_group_arns"]) == {"web", "jvb"}
    assert out["media_ingress"] == "nlb" and out["power"] == "standby"
    assert out["zone_id"] and out["certificate_arn"] and out["load_balancer_dns_name"] and out["task_definition_arn"]
    (address,) = out["media_addresses"]
    advertised = {e["name"]: e["value"] for e in platform.containers["jvb"]["environment"]}["JVB_ADVERTISE_IPS"]
    assert advertised == address


def test_everything_is_tagged(platform, aws):
    tagged = aws("resourcegroupstaggingapi").get_resources(TagFilters=[{"Key": "project", "Values": [NAME]}])
    kinds = {resource["ResourceARN"].split(":")[2] for resource in tagged["ResourceTagMappingList"]}
    assert {"ec2", "ecs", "elasticloadbalancing", "s3", "secretsmanager", "logs"} <= kinds
    for resource in tagged["ResourceTagMappingList"]:
        assert {"project", "environment", "managed-by"} <= {tag["Key"] for tag in resource["Tags"]}


def test_the_balancer_is_as_the_facts_demand(platform, aws):
    elb = aws("elbv2")
    (balancer,) = elb.describe_load_balancers(Names=[f"{NAME}-nlb"])["LoadBalancers"]
    assert balancer["SecurityGroups"], "an NLB made without a group can never have one"
    listeners = {l["Port"]: l for l in elb.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]}
    assert listeners[443]["Protocol"] == "TLS" and listeners[443]["AlpnPolicy"] == ["HTTP1Only"]
    assert listeners[10000]["Protocol"] == "UDP"
    groups = {g["TargetGroupName"]: g for g in elb.describe_target_groups()["TargetGroups"]}
    jvb = groups[f"{NAME}-jvb"]
    assert (jvb["HealthCheckProtocol"], jvb["HealthCheckPort"], jvb["HealthCheckPath"]) == ("HTTP", "8080", "/about/health")
    assert groups[f"{NAME}-web"]["Port"] == 8000
    attributes = {a["Key"]: a["Value"] for a in elb.describe_load_balancer_attributes(LoadBalancerArn=balancer["LoadBalancerArn"])["Attributes"]}
    assert attributes["load_balancing.cross_zone.enabled"] == "true"


def test_only_what_must_is_open_to_the_world(platform, aws):
    rules = aws("ec2").describe_security_group_rules()["SecurityGroupRules"]
    ours = {g["GroupId"] for g in aws("ec2").describe_security_groups()["SecurityGroups"] if g["GroupName"].startswith(NAME)}
    world = {(r["IpProtocol"], r["FromPort"], r["ToPort"]) for r in rules if r["GroupId"] in ours and not r["IsEgress"] and r.get("CidrIpv4") == "0.0.0.0/0"}
    assert world == {("tcp", 443, 443), ("udp", 10000, 10000)}


def test_no_secret_in_state_or_plan(platform, aws):
    secret = json.loads(aws("secretsmanager").get_secret_value(SecretId=f"{NAME}-jitsi-secrets")["SecretString"])
    assert set(secret) == {"JICOFO_AUTH_PASSWORD", "JVB_AUTH_PASSWORD"}
    shown = platform.run("show", "-json", "next.tfplan").stdout
    for password in secret.values():
        assert re.fullmatch(r"[A-Za-z0-9]{32,}", password)
        assert password not in platform.state() and password not in shown


def test_a_raised_version_makes_new_passwords(platform, aws):
    read = lambda: aws("secretsmanager").get_secret_value(SecretId=f"{NAME}-jitsi-secrets")["SecretString"]
    before = read()
    changes = platform.plan(secrets_version=2)
    assert set(changes) == {"aws_secretsmanager_secret_version.jitsi"}
    platform.apply()
    assert read() != before
    platform.variables = platform.variables | {"secrets_version": 2}


def test_what_meetctl_changes_is_no_drift(platform, aws):
    ecs = aws("ecs")
    service = ecs.describe_services(cluster=f"{NAME}-cluster", services=[f"{NAME}-service"])["services"][0]
    ecs.update_service(cluster=f"{NAME}-cluster", service=f"{NAME}-service", desiredCount=1, forceNewDeployment=True)
    ecs.tag_resource(resourceArn=service["serviceArn"], tags=[{"key": "meetctl:started-by", "value": "ada"}])
    assert platform.plan() == {}
    ecs.update_service(cluster=f"{NAME}-cluster", service=f"{NAME}-service", desiredCount=0)


def services(aws):
    return aws("ecs").describe_services(cluster=f"{NAME}-cluster", services=[f"{NAME}-service"])["services"][0]


def name_leads_to(aws, domain=DOMAIN, zone="example.org"):
    """The record of the platform's name, or None."""
    (zone,) = aws("route53").list_hosted_zones_by_name(DNSName=zone, MaxItems="1")["HostedZones"]
    records = aws("route53").list_resource_record_sets(HostedZoneId=zone["Id"])["ResourceRecordSets"]
    return next((r for r in records if r["Name"].rstrip(".") == domain and r["Type"] == "A"), None)


def in_order(calls, *wanted):
    """Fails unless each of these is called, and every call of it before the first of the next."""
    for earlier, later in zip(wanted, wanted[1:]):
        assert earlier in calls and later in calls, (earlier, later, sorted(set(calls)))
        assert len(calls) - 1 - calls[::-1].index(earlier) < calls.index(later), f"{earlier} after {later}"


def test_powering_down_removes_what_is_priced_and_nothing_else(platform, moto, aws):
    seen = len(moto.calls_since())
    changes = platform.become(power="powered-down")
    assert {address for address, actions in changes.items() if actions == "delete"} == PRICED
    assert {address: actions for address, actions in changes.items() if actions != "delete"} == FOLLOWING
    assert aws("elbv2").describe_load_balancers()["LoadBalancers"] == []
    assert aws("ec2").describe_addresses()["Addresses"] == []
    service = services(aws)
    assert service["status"] == "ACTIVE" and service["loadBalancers"] == []
    out = platform.outputs()
    assert out["power"] == "powered-down" and out["media_addresses"] == []
    assert out.get("load_balancer_arn") is None and out["task_definition_arn"]

    calls = moto.calls_since(seen)
    in_order(
        calls,
        "elasticloadbalancing:DeleteListener",
        "elasticloadbalancing:DeleteLoadBalancer",
        "ecs:UpdateService",
        "ecs:DeregisterTaskDefinition",
        "ec2:ReleaseAddress",
    )
    # Nobody finds the service with a revision that is gone.
    in_order(calls, "ecs:RegisterTaskDefinition", "ecs:UpdateService")


def test_the_name_never_ceases_to_exist(platform, moto, aws):
    record = name_leads_to(aws)
    assert record["TTL"] == 60 and record["ResourceRecords"] == [{"Value": "192.0.2.1"}]
    assert platform.outputs()["placeholder_address"] == "192.0.2.1"


def test_back_to_standby(platform, aws):
    changes = platform.become()
    assert {address for address, actions in changes.items() if actions == "create"} == PRICED
    assert {address: actions for address, actions in changes.items() if actions != "create"} == FOLLOWING
    service = services(aws)
    assert {b["containerName"] for b in service["loadBalancers"]} == {"web", "jvb"}
    assert service["desiredCount"] == 0
    assert name_leads_to(aws)["AliasTarget"]["DNSName"].rstrip(".") == platform.outputs()["load_balancer_dns_name"].lower()


def environment_of(rendered: str, name: str) -> dict:
    (container,) = [c for c in json.loads(rendered) if c["name"] == name]
    return {e["name"]: e["value"] for e in container["environment"]}


def resource(platform, address: str) -> dict:
    """What the state says of it."""
    shown = json.loads(platform.run("show", "-json").stdout)
    return next(r["values"] for r in shown["values"]["root_module"]["resources"] if r["address"] == address)


def test_media_straight_to_the_task(platform, moto, aws):
    seen = len(moto.calls_since())
    changes = platform.become(media_ingress="task")
    deleted = {address for address, actions in changes.items() if actions == "delete"}
    assert {"aws_eip.media[0]", "aws_lb_listener.media[0]", "aws_lb_target_group.jvb[0]"} <= deleted
    assert changes["aws_lb.this[0]"] == "delete/create", "its addresses cannot be changed in place"
    assert "aws_vpc_security_group_ingress_rule.task_media_direct[0]" in changes
    # The service lets go of what goes before it goes.
    calls = moto.calls_since(seen)
    in_order(calls, "ecs:UpdateService", "elasticloadbalancing:DeleteTargetGroup")
    in_order(calls, "ecs:UpdateService", "ecs:DeregisterTaskDefinition", "ec2:ReleaseAddress")

    bridge = environment_of(resource(platform, "aws_ecs_task_definition.this")["container_definitions"], "jvb")
    assert bridge["JVB_ADVERTISE_IPS"] == "" and bridge["JVB_DISABLE_STUN"] == "0"
    service = services(aws)
    assert {b["containerName"] for b in service["loadBalancers"]} == {"web"}
    # Wherever there is room: nothing crosses.
    assert len(service["networkConfiguration"]["awsvpcConfiguration"]["subnets"]) == 2
    assert aws("ec2").describe_addresses()["Addresses"] == []


def test_media_back_to_the_load_balancer(platform, aws):
    changes = platform.become()
    assert changes["aws_lb.this[0]"] == "delete/create"
    assert {b["containerName"] for b in services(aws)["loadBalancers"]} == {"web", "jvb"}
    (address,) = platform.outputs()["media_addresses"]
    bridge = environment_of(resource(platform, "aws_ecs_task_definition.this")["container_definitions"], "jvb")
    assert bridge["JVB_ADVERTISE_IPS"] == address


@pytest.mark.parametrize("zones", [1, 2])
def test_zones_of_the_load_balancer(platform, aws, zones):
    changes = platform.become(load_balancer_zones=zones)
    assert changes["aws_lb.this[0]"] == "delete/create", "its addresses cannot be changed in place"
    (balancer,) = aws("elbv2").describe_load_balancers(Names=[f"{NAME}-nlb"])["LoadBalancers"]
    assert len(balancer["AvailabilityZones"]) == zones


def test_the_task_has_one_zone_of_its_own(platform, aws):
    """Media arrives in the first zone; the way to the second is paid for."""
    subnets = [resource(platform, f"aws_subnet.public[{zone}]")["id"] for zone in (0, 1)]
    assert services(aws)["networkConfiguration"]["awsvpcConfiguration"]["subnets"] == subnets[:1]
    assert platform.become(task_zone=2) == {"aws_ecs_service.this": "update"}
    assert services(aws)["networkConfiguration"]["awsvpcConfiguration"]["subnets"] == subnets[1:]
    assert platform.become() == {"aws_ecs_service.this": "update"}


def test_another_program_is_refused(platform):
    """By name, both of them; another version of the same program is not."""
    with pytest.raises(AssertionError) as refused:
        platform.plan(program={"name": "tofu", "version": "1.11.0"})
    said = re.sub(r"[\s│]+", " ", str(refused.value))
    assert "was made with terraform, and tofu 1.11.0 is running" in said
    assert platform.plan(program={"name": "terraform", "version": "1.99.0"}) == {}
    assert platform.outputs()["program"] == {"name": "terraform", "version": "1.11.4"}


def test_quotas_are_asked_before(platform):
    platform.plan(task_cpu=8192, task_memory=16384)
    assert "Fargate may run 6 vCPU at once" in platform.said()
    platform.plan()
    assert "Warning" not in platform.said()


class Denied(BaseHTTPRequestHandler):
    """An AWS service that lets nobody in."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(400)
        self.end_headers()
        self.wfile.write(b'{"__type": "AccessDeniedException", "message": "not allowed"}')

    def log_message(self, *_):
        pass


def test_a_quota_that_cannot_be_read_is_a_warning(platform):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Denied)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    platform.environment["AWS_ENDPOINT_URL_SERVICE_QUOTAS"] = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        assert platform.plan() == {}
        assert platform.said().count("AccessDeniedException: not allowed") == 3 and "Warning" in platform.said()
    finally:
        del platform.environment["AWS_ENDPOINT_URL_SERVICE_QUOTAS"]
        server.shutdown()


def test_alarms_are_as_many_as_are_free(platform, aws):
    alarms = aws("cloudwatch").describe_alarms()["MetricAlarms"]
    assert {alarm["AlarmName"].removeprefix(f"{NAME}-") for alarm in alarms} == {
        "running-too-long", "unhealthy-web", "unhealthy-jvb", "nobody-counts", "restarts", "processor", "failed-joins", "certificate",
    }
    assert all(alarm["AlarmActions"] for alarm in alarms)
    # An alarm that computes is charged for each metric that it computes from.
    asked = sum(len([q for q in alarm.get("Metrics", []) if "MetricStat" in q]) or 1 for alarm in alarms)
    assert asked <= 10


def test_the_dashboard_shows_the_meeting(platform, aws):
    body = json.loads(aws("cloudwatch").get_dashboard(DashboardName=NAME)["DashboardBody"])
    shown = json.dumps(body)
    for metric in ("Participants", "Rooms", "Stress", "Loss", "BytesSent", "FailedJoins", "TaskStarts"):
        assert f'["{NAME}", "{metric}"' in shown
    corners = {(w["x"], w["y"]) for w in body["widgets"]}
    assert len(corners) == len(body["widgets"]), "one covers another"


def test_a_platform_with_a_zone_and_a_boundary_of_its_own(terraform_program, tmp_path_factory, moto, aws, platform):
    """Made powered-down, with media straight to the task; removed as `meetctl destroy` does, recordings included."""
    other, domain = "other", "meet.other.example"
    stack = type(platform)(terraform_program, tmp_path_factory.mktemp("other"), moto.url)
    boundary = aws("iam").create_policy(PolicyName="boundary", PolicyDocument=json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}))["Policy"]["Arn"]
    stack.variables = stack.variables | {
        "name": other, "domain": domain, "create_zone": True, "permissions_boundary": boundary, "power": "powered-down",
        "media_ingress": "task", "program": {"name": "", "version": ""},
    }
    stack.bootstrap(other)
    assert set(stack.become().values()) == {"create"}
    assert name_leads_to(aws, domain, domain)["ResourceRecords"] == [{"Value": "192.0.2.1"}]
    assert len(stack.outputs()["zone_name_servers"]) == 4
    for role in ("execution", "task", "scheduler"):
        role = aws("iam").get_role(RoleName=f"{other}-{role}")["Role"]
        assert role["PermissionsBoundary"]["PermissionsBoundaryArn"] == boundary

    removal = stack.module / "removal"
    (removal / "keep-recordings.tf").unlink()
    (removal / ".terraform.lock.hcl").write_text((stack.module / ".terraform.lock.hcl").read_text())
    stack.init(*stack.backend, module=removal)
    stack.run("apply", "-no-color", "-auto-approve", f"-var=region={REGION}", f"-var=account_id={ACCOUNT}", module=removal)
    assert stack.run("state", "list").stdout.strip() == ""
    assert [z["Name"] for z in aws("route53").list_hosted_zones()["HostedZones"]] == ["example.org."]


# Values in one row are refused together, each with its own message.
WRONG = [
    {
        "name": "Upper",
        "domain": "https://meet.example.org",
        "region": "Oregon",
        "account_id": "1234",
        "power": "running",
        "media_ingress": "direct",
        "release": {"tag": "stable-11031"},
        "image_registry": "jitsi",
        "permissions_boundary": "administrator",
        "frame_ancestors": ["http://example.org"],
        "program": {"name": "pulumi", "version": "3"},
        "branding": {"title": "it's"},
        "longest_session_hours": 0,
        "max_participants": 2.5,
        "vpc_cidr": "10.0.0.0/28",
        "video": {"height": 700},
        "secret_recovery_days": 3,
    },
    {"name": "a" * 25, "domain": "meet", "region": "cn-north-1", "task_zone": 2, "load_balancer_zones": 1, "release": {"tag": "latest"}, "branding": {"accent": "orange"}, "task_memory": 4096},
    {"name": "ends-", "region": "us-gov-west-1", "task_zone": 3, "frame_ancestors": ["'none'", "'self'"], "zone_name": "example.com", "release": {"tag": "stable-11146-2", "digests": {"web": "sha256:12"}}},
    {"name": "internal-meet", "create_zone": True, "zone_id": "Z0123456789", "branding": {"link": "javascript:alert(1)"}},
]


@pytest.mark.parametrize("wrong", WRONG, ids=range(len(WRONG)))
def test_wrong_values_are_refused(offline, wrong):
    given = {"domain": DOMAIN} | wrong
    arguments = [f"-var={key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in given.items()]
    # Values are looked at before the provider is asked for anything.
    done = offline.run("plan", "-no-color", "-refresh=false", *arguments, ok=(1,))
    refused = set(re.findall(r'variables\.tf line \d+, in variable "(\w+)":', done.stderr))
    refused |= {match for match in re.findall(r'variable "(\w+)"', done.stderr)}
    assert refused - {"domain"} == set(wrong) - {"domain", "zone_id", "load_balancer_zones"} and ("domain" in refused) == ("domain" in wrong)


def test_destroy_can_keep_the_recordings(platform, aws):
    """meetctl takes the bucket out of the state first; a later platform takes it over again."""
    kept = [a for a in platform.run("state", "list").stdout.split() if a.startswith("aws_s3_bucket") and a.endswith(".recordings")]
    assert "aws_s3_bucket.recordings" in kept
    aws("s3").put_object(Bucket=f"{NAME}-recordings-{ACCOUNT}", Key="talk.mka", Body=b"sound")
    platform.run("state", "rm", *kept)
    changes = platform.plan(adopt_recordings_bucket=True)
    assert "aws_s3_bucket.recordings" not in {a for a, actions in changes.items() if "create" in actions or "delete" in actions}
    platform.run("destroy", "-no-color", "-auto-approve", f"-var=domain={DOMAIN}")
    assert aws("s3").get_object(Bucket=f"{NAME}-recordings-{ACCOUNT}", Key="talk.mka")["Body"].read() == b"sound"


def test_the_account_is_empty_afterwards(platform, aws):
    """Asked through the API, service by service, not through Terraform."""
    assert platform.run("state", "list").stdout.strip() == ""
    left = {
        "load balancers": aws("elbv2").describe_load_balancers()["LoadBalancers"],
        "target groups": aws("elbv2").describe_target_groups()["TargetGroups"],
        "addresses": aws("ec2").describe_addresses()["Addresses"],
        "vpcs": [v for v in aws("ec2").describe_vpcs()["Vpcs"] if not v["IsDefault"]],
        "groups": [g for g in aws("ec2").describe_security_groups()["SecurityGroups"] if g["GroupName"].startswith(NAME)],
        "clusters": [c for c in aws("ecs").describe_clusters(clusters=[f"{NAME}-cluster"])["clusters"] if c["status"] == "ACTIVE"],
        "task definitions": aws("ecs").list_task_definitions(familyPrefix=NAME, status="ACTIVE")["taskDefinitionArns"],
        "secrets": aws("secretsmanager").list_secrets()["SecretList"],
        "log groups": aws("logs").describe_log_groups()["logGroups"],
        "roles": [r for r in aws("iam").list_roles()["Roles"] if r["RoleName"].startswith(NAME)],
        "certificates": aws("acm").list_certificates()["CertificateSummaryList"],
        "alarms": aws("cloudwatch").describe_alarms()["MetricAlarms"],
        "dashboards": aws("cloudwatch").list_dashboards()["DashboardEntries"],
        "topics": aws("sns").list_topics()["Topics"],
        "schedule groups": [g for g in aws("scheduler").list_schedule_groups()["ScheduleGroups"] if g["Name"] != "default"],
        "budgets": aws("budgets", "us-east-1").describe_budgets(AccountId=ACCOUNT)["Budgets"],
        "records": [
            record
            for zone in aws("route53").list_hosted_zones()["HostedZones"]
            for record in aws("route53").list_resource_record_sets(HostedZoneId=zone["Id"])["ResourceRecordSets"]
            if record["Type"] not in ("NS", "SOA")
        ],
    }
    assert {what: things for what, things in left.items() if things} == {}
    buckets = {b["Name"] for b in aws("s3").list_buckets()["Buckets"]}
    assert buckets == {f"{NAME}-recordings-{ACCOUNT}", f"{NAME}-tfstate-{ACCOUNT}", f"other-tfstate-{ACCOUNT}"}


# --- What a deployer may -------------------------------------------------------------------------------------------

# API calls whose permission has another name.
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsbudgetservice.html
PERMISSION = {
    "budgets:CreateBudget": "budgets:ModifyBudget",
    "budgets:CreateNotification": "budgets:ModifyBudget",
    "budgets:DeleteBudget": "budgets:ModifyBudget",
    "budgets:DescribeBudget": "budgets:ViewBudget",
    "budgets:DescribeNotificationsForBudget": "budgets:ViewBudget",
    "budgets:DescribeSubscribersForNotification": "budgets:ViewBudget",
}

# Granted, and never called before moto.
NEVER_CALLED = {
    # No calls of their own: asked beside another one.
    "iam:PassRole",
    "iam:CreateServiceLinkedRole",
    "budgets:TagResource",
    # An Elastic IP of moto's belongs to no load balancer.
    "ec2:DisassociateAddress",
    # Where somebody has changed or added what is not in the modules, it is put right again.
    "acm:AddTagsToCertificate",
    "acm:RemoveTagsFromCertificate",
    "ec2:CreateTags",
    "ec2:ModifySecurityGroupRules",
    "ecs:TagResource",
    "ecs:UntagResource",
    "ecs:UpdateCluster",
    "elasticloadbalancing:AddTags",
    "elasticloadbalancing:RemoveTags",
    "elasticloadbalancing:Set*",
    "iam:TagRole",
    "iam:UntagRole",
    "iam:UpdateAssumeRolePolicy",
    "iam:UpdateRole*",
}


@pytest.fixture(scope="module")
def asked(platform, moto):
    """Every permission that Terraform needed, from the first plan to the last destroy, in all modes of this file."""
    calls = {PERMISSION.get(call, call).replace("service-quotas:", "servicequotas:") for call in moto.calls_since()}
    assert len(calls) > 100, "the calls were not noted"
    return calls


def allows(statement, action: str) -> bool:
    return any(fnmatchcase(action, pattern) for pattern in statement["Action"])


def test_a_deployer_may_do_what_terraform_did(asked, policy_actions):
    """S3 is left out: moto names its actions otherwise, and it is allowed whole, on the project's buckets."""
    allowed = policy_actions("deployer")
    assert {call for call in asked if not any(fnmatchcase(call, pattern) for pattern in allowed)} == set()


def test_a_deployer_may_do_nothing_that_terraform_never_does(asked, policy_actions):
    granted = {pattern for pattern in policy_actions("deployer") if pattern != "s3:*"}
    unused = {pattern for pattern in granted if not any(fnmatchcase(call, pattern) for call in asked)}
    assert unused - NEVER_CALLED == set(), "granted for nothing"
    assert NEVER_CALLED - unused == set(), "called after all, or not granted: not an exception"


def test_the_deployers_bounds_are_ones_that_iam_knows(asked, policies):
    """AWS's own table of actions, resource types and condition keys, as policy_sentry has it. A statement about a resource
    type that an action does not know, or a condition key that is never set, would allow nothing."""
    table = json.loads(Path(policy_sentry.__file__).with_name("shared").joinpath("data/iam-definition.json").read_text())
    statements = policies("deployer")["Statement"]

    def covers(resource: str, arn: str) -> bool:
        """Whether what a statement says can be about things of this form."""
        form = re.sub(r"\\\$\\\{\w+\\\}", ".+", re.escape(arn))
        example = arn.replace("${Partition}", "aws").replace("${Region}", REGION).replace("${Account}", ACCOUNT)
        # A final asterisk stands for several parts of a path.
        said = (resource + more for more in ("", "/*"))
        return resource == "*" or any(re.fullmatch(form, it) for it in said) or fnmatchcase(example, resource)

    def resources(statement) -> list[str]:
        return [statement["Resource"]] if isinstance(statement["Resource"], str) else statement["Resource"]

    def keys(statement) -> set[str]:
        used = {key for test in statement.get("Condition", {}).values() for key in test}
        return {re.sub(r"(aws:(?:Resource|Request)Tag)/.*", r"\1/${TagKey}", key) for key in used} - {"aws:RequestedRegion"}

    def can_allow(statement, service: str, known: dict, kind: str) -> bool:
        """Whether the statement can let this action have a thing of this type."""
        about = known["resource_types"].get(kind, {})
        type_known = table[service]["resources"].get(kind.rstrip("*"), {})
        anything = known["resource_types"].get("", {})
        settable = {*about.get("condition_keys", []), *type_known.get("condition_keys", []), *anything.get("condition_keys", [])}
        placed = any(covers(resource, type_known["arn"]) for resource in resources(statement)) if kind else "*" in resources(statement)
        return placed and keys(statement) <= settable

    wrong = []
    for permission in {*asked, "iam:PassRole", "iam:CreateServiceLinkedRole", "ec2:CreateTags", "ec2:DisassociateAddress"}:
        service, action = permission.split(":")
        known = table[service]["privileges"].get(action)
        if known is None:
            wrong.append(f"{permission}: IAM knows no such action")
            continue
        ours = [statement for statement in statements if allows(statement, permission)]
        # Where one of several types is meant (a listener of an ALB or of an NLB), the table calls each of them required.
        needed = {}
        for kind in (kind for kind, about in known["resource_types"].items() if kind and about["required"]):
            family = "hostedzone" if kind == "healthcheck" else kind.split("/")[0]
            needed.setdefault(family, []).append(kind)
        if set(known["resource_types"]) <= {""}:
            needed = {"*": [""]}
        for family, kinds in needed.items():
            if not any(can_allow(statement, service, known, kind) for statement in ours for kind in kinds):
                wrong.append(f"{permission} on {family}")
    assert sorted(wrong) == []


def test_statements_have_bounds(policies):
    """What is neither a look nor bounded by name, tag or region is named here."""
    unbounded = {
        statement["Sid"]
        for statement in policies("deployer")["Statement"]
        if statement["Resource"] == "*" and "Condition" not in statement
    }
    assert unbounded == {"Look", "ZoneMake"}
    tagging = [s for s in policies("deployer")["Statement"] if "ec2:CreateTags" in s["Action"]]
    assert all("ec2:CreateAction" in str(s["Condition"]) or "aws:ResourceTag/project" in str(s["Condition"]) for s in tagging)
