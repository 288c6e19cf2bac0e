# Two public subnets and nothing between them and the internet but security groups. A NAT gateway would cost more
# than everything else together ($33 a month before traffic), so the task has a public address of its own.

data "aws_availability_zones" "available" {
  #checkov:skip=CKV_AWS_394:A new zone cannot move the subnets: they ignore what this says once they exist.
  state = "available"

  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }

  # Zones that some accounts see and Fargate does not know.
  # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/AWS_Fargate-Regions.html
  exclude_zone_ids = ["apne1-az3", "usw1-az2"]

  lifecycle {
    postcondition {
      condition     = length(self.names) >= 2
      error_message = "region: ${var.region} offers this account fewer than two availability zones in which Fargate runs."
    }
  }
}

resource "aws_vpc" "this" {
  #checkov:skip=CKV2_AWS_11:Flow logs are billed by the gigabyte and would mostly record encrypted media.
  #checkov:skip=CKV2_AWS_12:Nothing uses the default group. To empty it, it would have to be tagged, and the deployer may tag only what it makes.
  cidr_block           = var.vpc_cidr
  enable_dns_support   = true
  enable_dns_hostnames = true

  tags = { Name = var.name }
}

resource "aws_internet_gateway" "this" {
  vpc_id = aws_vpc.this.id

  tags = { Name = var.name }
}

resource "aws_subnet" "public" {
  count = 2

  vpc_id            = aws_vpc.this.id
  availability_zone = data.aws_availability_zones.available.names[count.index]
  cidr_block        = cidrsubnet(var.vpc_cidr, 4, count.index)

  # The service asks for its public address itself (assign_public_ip).
  map_public_ip_on_launch = false

  tags = { Name = "${var.name}-public-${count.index + 1}" }

  lifecycle {
    ignore_changes = [availability_zone]
  }
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.this.id

  tags = { Name = "${var.name}-public" }
}

resource "aws_route" "internet" {
  route_table_id         = aws_route_table.public.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this.id
}

resource "aws_route_table_association" "public" {
  count = 2

  subnet_id      = aws_subnet.public[count.index].id
  route_table_id = aws_route_table.public.id
}

# --- Security groups: one rule per resource, so that a rule can change without touching the others ---------------

# An NLB can only ever have security groups if it is created with one.
# https://docs.aws.amazon.com/elasticloadbalancing/latest/network/load-balancer-security-groups.html
resource "aws_security_group" "nlb" {
  #checkov:skip=CKV2_AWS_5:Attached to the load balancer, which exists unless power is powered-down.
  name        = "${var.name}-nlb"
  description = "Load balancer: HTTPS, and media when it takes the load balancer's way"
  vpc_id      = aws_vpc.this.id

  tags = { Name = "${var.name}-nlb" }
}

resource "aws_vpc_security_group_ingress_rule" "nlb_https" {
  security_group_id = aws_security_group.nlb.id
  description       = "HTTPS from everywhere"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_ingress_rule" "nlb_media" {
  count = var.media_ingress == "nlb" ? 1 : 0

  security_group_id = aws_security_group.nlb.id
  description       = "Sound and pictures from everywhere"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "udp"
  from_port         = 10000
  to_port           = 10000
}

resource "aws_vpc_security_group_egress_rule" "nlb_web" {
  security_group_id            = aws_security_group.nlb.id
  description                  = "Pages and signalling to the task, and their health check"
  referenced_security_group_id = aws_security_group.task.id
  ip_protocol                  = "tcp"
  from_port                    = 8000
  to_port                      = 8000
}

resource "aws_vpc_security_group_egress_rule" "nlb_media" {
  count = var.media_ingress == "nlb" ? 1 : 0

  security_group_id            = aws_security_group.nlb.id
  description                  = "Sound and pictures to the task"
  referenced_security_group_id = aws_security_group.task.id
  ip_protocol                  = "udp"
  from_port                    = 10000
  to_port                      = 10000
}

resource "aws_vpc_security_group_egress_rule" "nlb_bridge_health" {
  count = var.media_ingress == "nlb" ? 1 : 0

  security_group_id            = aws_security_group.nlb.id
  description                  = "Health check of the bridge: UDP cannot be checked by UDP"
  referenced_security_group_id = aws_security_group.task.id
  ip_protocol                  = "tcp"
  from_port                    = 8080
  to_port                      = 8080
}

resource "aws_security_group" "task" {
  #checkov:skip=CKV2_AWS_5:Attached to the ECS service's network interfaces.
  name        = "${var.name}-task"
  description = "The Jitsi task"
  vpc_id      = aws_vpc.this.id

  tags = { Name = "${var.name}-task" }
}

resource "aws_vpc_security_group_ingress_rule" "task_web" {
  security_group_id            = aws_security_group.task.id
  description                  = "Pages and signalling from the load balancer"
  referenced_security_group_id = aws_security_group.nlb.id
  ip_protocol                  = "tcp"
  from_port                    = 8000
  to_port                      = 8000
}

# The bridge's private HTTP server has no authentication: it is open to the load balancer's health check alone.
resource "aws_vpc_security_group_ingress_rule" "task_bridge_health" {
  count = var.media_ingress == "nlb" ? 1 : 0

  security_group_id            = aws_security_group.task.id
  description                  = "Health check of the bridge from the load balancer"
  referenced_security_group_id = aws_security_group.nlb.id
  ip_protocol                  = "tcp"
  from_port                    = 8080
  to_port                      = 8080
}

# UDP keeps the caller's address through an NLB, yet a rule that names the balancer's group still admits it, and shuts
# out whoever finds the task's own address.
# https://docs.aws.amazon.com/elasticloadbalancing/latest/network/load-balancer-security-groups.html
resource "aws_vpc_security_group_ingress_rule" "task_media_nlb" {
  count = var.media_ingress == "nlb" ? 1 : 0

  security_group_id            = aws_security_group.task.id
  description                  = "Sound and pictures from the load balancer"
  referenced_security_group_id = aws_security_group.nlb.id
  ip_protocol                  = "udp"
  from_port                    = 10000
  to_port                      = 10000
}

resource "aws_vpc_security_group_ingress_rule" "task_media_direct" {
  count = var.media_ingress == "task" ? 1 : 0

  security_group_id = aws_security_group.task.id
  description       = "Sound and pictures from everywhere"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "udp"
  from_port         = 10000
  to_port           = 10000
}

# Media goes to whatever port a participant's network chose, so UDP cannot be narrowed.
resource "aws_vpc_security_group_egress_rule" "task_udp" {
  security_group_id = aws_security_group.task.id
  description       = "Sound and pictures to participants, and STUN"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "udp"
  from_port         = 1
  to_port           = 65535
}

resource "aws_vpc_security_group_egress_rule" "task_https" {
  security_group_id = aws_security_group.task.id
  description       = "Images, secrets and logs over HTTPS"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}
