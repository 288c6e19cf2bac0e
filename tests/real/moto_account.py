"""moto for an account on which Terraform works and the conductor runs tasks.

To the gaps that `tests/stack/moto_gaps.py` fills for Terraform come those of tasks, and one of the bill.

    python moto_account.py PORT
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "stack"))

import moto_gaps  # noqa: E402
from moto.ec2 import ec2_backends  # noqa: E402
from moto.ecs.models import EC2ContainerServiceBackend  # noqa: E402
from moto.elbv2.models import ELBv2Backend  # noqa: E402


def memory_of_the_task() -> None:
    """ECS: a task whose memory is said for all containers together, not for each, cannot be run."""
    EC2ContainerServiceBackend._calculate_task_resource_requirements = staticmethod(
        lambda definition: {
            "CPU": int(definition.cpu or 0),
            "MEMORY": int(definition.memory or 0),
            "PORTS": [],
            "PORTS_UDP": [],
        }
    )


def network_interface_of_a_task() -> None:
    """ECS: the network interface of a stopped task stays, and the subnet cannot go."""
    stop = EC2ContainerServiceBackend.stop_task

    def with_its_interface(self, *args, **more):
        task = stop(self, *args, **more)
        interfaces = ec2_backends[self.account_id][self.region_name]
        for attachment in task.attachments:
            for detail in attachment["details"]:
                if detail["name"] == "networkInterfaceId" and detail["value"] in interfaces.enis:
                    interfaces.delete_network_interface(detail["value"])
        return task

    EC2ContainerServiceBackend.stop_task = with_its_interface


def scheme_of_a_load_balancer() -> None:
    """ELB: where nothing is said, AWS says `internet-facing` and moto nothing; public addresses are on the bill."""
    create = ELBv2Backend.create_load_balancer

    def facing(self, *args, **more):
        balancer = create(self, *args, **more)
        balancer.scheme = balancer.scheme or "internet-facing"
        return balancer

    ELBv2Backend.create_load_balancer = facing


if __name__ == "__main__":
    moto_gaps.fill()
    memory_of_the_task()
    network_interface_of_a_task()
    scheme_of_a_load_balancer()
    moto_gaps.main(["-H", "127.0.0.1", "-p", sys.argv[1]])
