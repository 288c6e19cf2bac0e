# Everything here that has `count = local.powered …` is priced by the hour; nothing else in the module is.

locals {
  media_through_nlb = var.media_ingress == "nlb"

  # A bridge may advertise one address only: clients probe every address from the same socket, and two ways to the same
  # target collide in the balancer's connection tracking.
  # https://docs.aws.amazon.com/elasticloadbalancing/latest/network/load-balancer-troubleshooting.html
  media_address = one(aws_eip.media[*].public_ip)

  # A load balancer does not reach a zone in which it has no address. Media comes in at the address in the first zone:
  # from there to a task in another zone each gigabyte would be paid for, so the task has one zone only. Media that goes
  # straight to the task crosses nothing, so there it may start wherever there is room.
  service_subnets = local.media_through_nlb ? [aws_subnet.public[var.task_zone - 1].id] : slice(aws_subnet.public[*].id, 0, var.load_balancer_zones)
}

resource "aws_eip" "media" {
  #checkov:skip=CKV2_AWS_19:Belongs to the load balancer, not to an instance.
  count = local.powered && local.media_through_nlb ? 1 : 0

  domain = "vpc"

  tags = { Name = "${var.name}-media" }
}

# The addresses of a load balancer cannot be changed in place, although the provider tries to: it asks AWS to take an
# address away without naming its subnet, and a plan with fewer zones does not match what is applied.
# https://github.com/hashicorp/terraform-provider-aws/issues/40060
resource "terraform_data" "balancer_addresses" {
  input = { media_ingress = var.media_ingress, zones = var.load_balancer_zones }
}

resource "aws_lb" "this" {
  #checkov:skip=CKV_AWS_91:Access logs of an NLB cost storage and only list TLS connections; nginx logs the requests.
  #checkov:skip=CKV_AWS_150:Powering down deletes the load balancer on purpose, many times a month.
  #checkov:skip=CKV2_AWS_28:A web application firewall cannot be put before a network load balancer.
  #checkov:skip=CKV2_AWS_20:A network load balancer cannot redirect; port 80 is not open at all.
  count = local.powered ? 1 : 0

  name                             = "${var.name}-nlb"
  load_balancer_type               = "network"
  internal                         = false
  security_groups                  = [aws_security_group.nlb.id]
  enable_cross_zone_load_balancing = true

  # The Elastic IP is the address in the first zone; in a second zone AWS assigns one, for HTTPS only: it is never
  # advertised for media. Whether a balancer accepts this mix is unverified on a live account; the console offers it.
  dynamic "subnet_mapping" {
    for_each = slice(aws_subnet.public[*].id, 0, var.load_balancer_zones)

    content {
      subnet_id     = subnet_mapping.value
      allocation_id = subnet_mapping.key == 0 ? one(aws_eip.media[*].allocation_id) : null
    }
  }

  tags = { Name = "${var.name}-nlb" }

  lifecycle {
    replace_triggered_by = [terraform_data.balancer_addresses]
  }

  depends_on = [aws_internet_gateway.this, aws_route.internet]
}

resource "aws_lb_target_group" "web" {
  #checkov:skip=CKV_AWS_378:TLS ends at the load balancer; the last hop stays inside the VPC.
  name                 = "${var.name}-web"
  vpc_id               = aws_vpc.this.id
  target_type          = "ip"
  protocol             = "TCP"
  port                 = 8000
  deregistration_delay = 15

  # nginx and prosody see who calls, and can tell one guest from another.
  preserve_client_ip = "true"

  # ECS replaces a task that this calls unhealthy, with everybody in it: quick to trust, slow to give up.
  health_check {
    protocol            = "HTTP"
    port                = "8000"
    path                = "/"
    matcher             = "200-399"
    interval            = 10
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 10
  }

  tags = { Name = "${var.name}-web" }
}

# UDP cannot be checked by UDP: the bridge is asked over HTTP. If no target is healthy an NLB sends to all of them, so
# a wrong check here would never be noticed from outside.
# https://docs.aws.amazon.com/elasticloadbalancing/latest/network/target-group-health-checks.html
resource "aws_lb_target_group" "jvb" {
  count = local.media_through_nlb ? 1 : 0

  name                   = "${var.name}-jvb"
  vpc_id                 = aws_vpc.this.id
  target_type            = "ip"
  protocol               = "UDP"
  port                   = 10000
  deregistration_delay   = 15
  connection_termination = true

  # Always on for UDP; said here so that it is not taken for a change.
  preserve_client_ip = "true"

  health_check {
    protocol            = "HTTP"
    port                = "8080"
    path                = "/about/health"
    matcher             = "200-399"
    interval            = 10
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 10
  }

  tags = { Name = "${var.name}-jvb" }

  # When media leaves the load balancer, the service lets go of this group before it is deleted.
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_lb_listener" "https" {
  count = local.powered ? 1 : 0

  load_balancer_arn = aws_lb.this[0].arn
  protocol          = "TLS"
  port              = 443
  certificate_arn   = aws_acm_certificate_validation.this.certificate_arn
  ssl_policy        = "ELBSecurityPolicy-TLS13-1-2-2021-06"

  # With HTTP/2 offered, browsers would speak it to an nginx port that only knows HTTP/1.1.
  alpn_policy = "HTTP1Only"

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.web.arn
  }

  tags = { Name = "${var.name}-https" }
}

resource "aws_lb_listener" "media" {
  count = local.powered && local.media_through_nlb ? 1 : 0

  load_balancer_arn = aws_lb.this[0].arn
  protocol          = "UDP"
  port              = 10000

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.jvb[0].arn
  }

  tags = { Name = "${var.name}-media" }
}
