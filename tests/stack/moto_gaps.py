"""moto, with the gaps filled that the platform's Terraform runs into.

moto 5.2.1 forgets some arguments that AWS remembers. The provider would take each of them for drift, and the test that
a second plan is empty could not be made. Every function below names one gap and fills it; nothing else of moto changes.

    python moto_gaps.py PORT [FILE]

With FILE, each call of Terraform's is noted there as `service:Action`, in the order in which they come (but those to S3,
whose actions moto names otherwise).
"""

import json
import sys

from moto.budgets.responses import BudgetsResponse
from moto.core.responses import BaseResponse
from moto.ec2.models.security_groups import SecurityGroupRule
from moto.ecs.responses import EC2ContainerServiceResponse
from moto.elbv2.models import ELBv2Backend, FakeLoadBalancer
from moto.iam.access_control import IAMPolicy, PermissionResult
from moto.s3.models import FakeBucket
from moto.server import main
from moto.servicequotas.responses import ServiceQuotasResponse


def ecs_service_arguments() -> None:
    """ECS: three arguments of a service are accepted and not returned."""
    kept = {
        "availabilityZoneRebalancing": "availability_zone_rebalancing",
        "enableECSManagedTags": "enable_ecs_managed_tags",
        "healthCheckGracePeriodSeconds": "health_check_grace_period_seconds",
    }

    def remembering(original):
        def call(self):
            answer = original(self)
            service = answer.result["service"]
            for argument, attribute in kept.items():
                value = self._get_param(argument)
                if value is not None:
                    setattr(service, attribute, value)
            return answer

        return call

    for name in ("create_service", "update_service"):
        setattr(EC2ContainerServiceResponse, name, remembering(getattr(EC2ContainerServiceResponse, name)))


def load_balancer_addresses() -> None:
    """ELB: the Elastic IP of a subnet mapping is not returned, and every balancer of one name has the same DNS name,
    which makes Route 53 take the second alias for the first."""
    create = ELBv2Backend.create_load_balancer
    zones = FakeLoadBalancer.availability_zones.fget

    def remembering(self, name, security_groups, subnet_ids, subnet_mappings=None, *rest, **more):
        balancer = create(self, name, security_groups, subnet_ids, subnet_mappings, *rest, **more)
        balancer.allocations = {m["SubnetId"]: m.get("AllocationId") for m in subnet_mappings or []}
        balancer.dns_name = f"{name}-{balancer.arn.rsplit('/', 1)[1]}.elb.{self.region_name}.amazonaws.com"
        return balancer

    def with_addresses(self):
        answer = zones(self)
        for zone in answer:
            allocation = getattr(self, "allocations", {}).get(zone.subnet_id)
            zone.load_balancer_addresses = [{"AllocationId": allocation}] if allocation else []
        return answer

    ELBv2Backend.create_load_balancer = remembering
    FakeLoadBalancer.availability_zones = property(with_addresses)


def security_rule_descriptions() -> None:
    """EC2: the description of a rule that names a group is not returned."""
    SecurityGroupRule.description = property(
        lambda self: self.ip_range.get("Description") or (self.source_group or {}).get("Description")
    )


def bucket_policies() -> None:
    """S3: conditions of a bucket policy are not looked at, so `deny what is not TLS` denies everything."""

    def get_permission(self, action, resource):
        if self.policy is None:
            return PermissionResult.NEUTRAL
        policy = json.loads(self.policy.decode())
        policy["Statement"] = [s for s in policy["Statement"] if "aws:SecureTransport" not in json.dumps(s)]
        return IAMPolicy(json.dumps(policy)).is_action_permitted(action, resource)

    FakeBucket.get_permission = get_permission


def budgets() -> None:
    """Budgets: subscribers and tags cannot be read."""

    def describe_subscribers_for_notification(self):
        budget = self.backend.budgets[self._get_param("AccountId")][self._get_param("BudgetName")]
        wanted = self._get_param("Notification")
        for notification in budget.notifications:
            if all(notification.details.get(key) == value for key, value in wanted.items() if key != "NotificationState"):
                return json.dumps({"Subscribers": notification.subscribers})
        return json.dumps({"Subscribers": []})

    def list_tags_for_resource(self):
        tags = self.backend.__dict__.setdefault("resource_tags", {})
        return json.dumps({"ResourceTags": tags.get(self._get_param("ResourceARN"), [])})

    create = BudgetsResponse.create_budget

    def create_budget(self):
        arn = f"arn:aws:budgets::{self._get_param('AccountId')}:budget/{self._get_param('Budget')['BudgetName']}"
        self.backend.__dict__.setdefault("resource_tags", {})[arn] = self._get_param("ResourceTags", [])
        return create(self)

    BudgetsResponse.describe_subscribers_for_notification = describe_subscribers_for_notification
    BudgetsResponse.list_tags_for_resource = list_tags_for_resource
    BudgetsResponse.create_budget = create_budget


def quotas() -> None:
    """Service Quotas: only a few are known. These are the values of a new account."""
    new_account = {("fargate", "L-3032A538"): 6.0, ("vpc", "L-F678F1CE"): 5.0, ("ec2", "L-0263D0A3"): 5.0}

    def get_service_quota(self):
        service, code = self._get_param("ServiceCode"), self._get_param("QuotaCode")
        quota = {"ServiceCode": service, "QuotaCode": code, "QuotaName": code, "Value": new_account[service, code]}
        return json.dumps({"Quota": quota | {"QuotaArn": f"arn:aws:servicequotas:us-west-2:123456789012:{service}/{code}"}})

    ServiceQuotasResponse.get_service_quota = get_service_quota
    ServiceQuotasResponse.get_aws_default_service_quota = get_service_quota


def note_calls(path: str) -> None:
    """Not a gap: what IAM would be asked."""
    call_action = BaseResponse.call_action

    def noting(self):
        if "Terraform" in self.headers.get("User-Agent", ""):
            with open(path, "a") as notes:
                print(f"{self.service_name}:{self._get_action()}", file=notes)
        return call_action(self)

    BaseResponse.call_action = noting


def fill() -> None:
    ecs_service_arguments()
    load_balancer_addresses()
    security_rule_descriptions()
    bucket_policies()
    budgets()
    quotas()


if __name__ == "__main__":
    fill()
    if len(sys.argv) > 2:
        note_calls(sys.argv[2])
    main(["-H", "127.0.0.1", "-p", sys.argv[1]])
