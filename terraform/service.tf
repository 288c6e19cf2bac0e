# One task of four Jitsi containers, one that delivers their files and one that counts people. How many tasks run
# (`desired_count`) belongs to meetctl.

locals {
  image = {
    for image in ["web", "prosody", "jicofo", "jvb"] : image => (
      contains(keys(var.release.digests), image)
      ? "${var.image_registry}/${image}@${var.release.digests[image]}"
      : "${var.image_registry}/${image}:${var.release.tag}"
    )
  }

  # The same in all four. Internal names: nothing resolves them.
  xmpp = {
    XMPP_DOMAIN              = "meet.jitsi"
    XMPP_AUTH_DOMAIN         = "auth.meet.jitsi"
    XMPP_MUC_DOMAIN          = "muc.meet.jitsi"
    XMPP_INTERNAL_MUC_DOMAIN = "internal-muc.meet.jitsi"
    XMPP_GUEST_DOMAIN        = "guest.meet.jitsi"
    XMPP_HIDDEN_DOMAIN       = "hidden.meet.jitsi"
    TZ                       = var.timezone
  }

  environment = {
    web = merge(local.xmpp, {
      PUBLIC_URL         = "https://${var.domain}"
      XMPP_BOSH_URL_BASE = "http://127.0.0.1:5280"

      # TLS ends at the load balancer. A redirect would go round in circles behind it.
      DISABLE_HTTPS        = "1"
      ENABLE_LETSENCRYPT   = "0"
      ENABLE_HTTP_REDIRECT = "0"

      # nginx does not start where it is told to listen on IPv6 and there is none.
      ENABLE_IPV6           = "0"
      ENABLE_XMPP_WEBSOCKET = "1"

      DYNAMIC_BRANDING_URL = "https://${var.domain}/branding/branding.json"
      RESOLUTION           = tostring(var.video.height)
      RESOLUTION_WIDTH     = tostring(var.video.height * 16 / 9)
      # The smallest picture a camera may be asked for must not be above the largest.
      RESOLUTION_MIN = "180"
    })

    prosody = merge(local.xmpp, {
      PUBLIC_URL            = "https://${var.domain}"
      ENABLE_IPV6           = "0"
      ENABLE_XMPP_WEBSOCKET = "1"

      # By the address of the person: the load balancer passes it on (preserve_client_ip), nginx too. A whole meeting
      # behind one address may come back within a second or two; the default of three a second would slow it down.
      PROSODY_ENABLE_RATE_LIMITS    = "1"
      PROSODY_RATE_LIMIT_LOGIN_RATE = "30"
    }, var.max_participants > 0 ? { MAX_PARTICIPANTS = tostring(var.max_participants) } : {})

    jicofo = merge(local.xmpp, {
      XMPP_SERVER       = "127.0.0.1"
      JICOFO_MAX_MEMORY = "1024m"

      # Without this there is no /about/health at all. With it, healthy means: a bridge is there, a conference can be
      # made, and XMPP answers.
      # https://github.com/jitsi/jicofo/blob/master/jicofo/src/main/kotlin/org/jitsi/jicofo/health/JicofoHealthChecker.kt
      JICOFO_ENABLE_HEALTH_CHECKS = "1"
    })

    jvb = merge(local.xmpp, {
      XMPP_SERVER            = "127.0.0.1"
      VIDEOBRIDGE_MAX_MEMORY = "3072m"

      # Counting; reachable from inside the task only. Draining stays off: a bridge in graceful shutdown refuses
      # newcomers, and there is no second one.
      COLIBRI_REST_ENABLED = "1"

      # Powered down there is no address to advertise, and no task to do so.
      JVB_ADVERTISE_IPS                = local.media_address == null ? "" : local.media_address
      JVB_ADVERTISE_PRIVATE_CANDIDATES = "0"
      JVB_DISABLE_STUN                 = local.media_through_nlb ? "1" : "0"
      JVB_STUN_SERVERS                 = join(",", var.stun_servers)

      # Unhealthy, instead of silent meetings, when no public address was found.
      JVB_REQUIRE_VALID_ADDRESS = "1"

      # Asks a metadata service that Fargate does not have.
      DISABLE_AWS_HARVESTER = "1"
    })
  }

  secrets = {
    web     = []
    prosody = ["JICOFO_AUTH_PASSWORD", "JVB_AUTH_PASSWORD"]
    jicofo  = ["JICOFO_AUTH_PASSWORD"]
    jvb     = ["JVB_AUTH_PASSWORD"]
  }

  ports = {
    web     = [{ containerPort = 8000, hostPort = 8000, protocol = "tcp" }]
    prosody = []
    jicofo  = []
    jvb = concat(
      [{ containerPort = 10000, hostPort = 10000, protocol = "udp" }],
      local.media_through_nlb ? [{ containerPort = 8080, hostPort = 8080, protocol = "tcp" }] : []
    )
  }

  # Liveness, not readiness: ECS replaces a task that one of these calls unhealthy, with everybody in it. So they ask
  # their own container alone, and forgive a minute and a half (interval and retries below). jicofo's /about/health would
  # ask for the bridge and prosody as well; that readiness is in the counter's line, and in meetctl's proof.
  #
  # The images bring no health check that ECS would use, and a task is only HEALTHY if every essential container has one.
  # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/healthcheck.html
  health = {
    web     = { url = "http://127.0.0.1:8000/", start = 60 }
    prosody = { url = "http://127.0.0.1:5280/health", start = 60 }
    jicofo  = { url = "http://127.0.0.1:8888/about/version", start = 120 }
    jvb     = { url = "http://127.0.0.1:8080/about/health", start = 120 }
  }

  jitsi_containers = [
    for name in ["web", "prosody", "jicofo", "jvb"] : {
      name      = name
      image     = local.image[name]
      essential = true

      environment  = [for key in sort(keys(local.environment[name])) : { name = key, value = local.environment[name][key] }]
      secrets      = [for key in local.secrets[name] : { name = key, valueFrom = "${aws_secretsmanager_secret.jitsi.arn}:${key}::" }]
      portMappings = local.ports[name]
      mountPoints  = [{ sourceVolume = "config-${name}", containerPath = "/config", readOnly = true }]
      volumesFrom  = []

      # For its files, which must be there when it starts. For nobody else: nginx answers 502 until prosody is up, jicofo
      # and the bridge try to sign in every few seconds.
      dependsOn = [{ containerName = "config", condition = "SUCCESS" }]

      healthCheck = {
        command     = ["CMD-SHELL", "curl -fsS -o /dev/null ${local.health[name].url} || exit 1"]
        interval    = 10
        timeout     = 5
        retries     = 10
        startPeriod = local.health[name].start
      }

      # SIGTERM ends the bridge at once, whatever the time-out: meetctl refuses to stop while people meet.
      startTimeout = 120
      stopTimeout  = 30

      # The images prepare /run and prosody's data at start. Read-only with tmpfs, as upstream's compose file has it, is
      # unverified on Fargate.
      readonlyRootFilesystem = false
      systemControls         = []

      logConfiguration = local.logs[name]
    }
  ]

  # awslogs names a stream PREFIX/CONTAINER/TASK. Non-blocking: a slow log service must not stop a meeting.
  # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/specify-log-config.html
  logs = {
    for name in ["config", "web", "prosody", "jicofo", "jvb", "occupancy"] : name => {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.this.name
        awslogs-region        = var.region
        awslogs-stream-prefix = name
        mode                  = "non-blocking"
        max-buffer-size       = "4m"
      }
    }
  }

  # Runs once, writes the files, ends. The volume belongs to root, hence the user; the image is there anyway.
  config_container = {
    name       = "config"
    image      = local.image["web"]
    essential  = false
    user       = "0"
    entryPoint = ["bash", "-c"]
    command    = [local.config_script]

    environment            = []
    portMappings           = []
    mountPoints            = [for name in ["web", "prosody", "jicofo", "jvb"] : { sourceVolume = "config-${name}", containerPath = "/out/${name}", readOnly = false }]
    volumesFrom            = []
    systemControls         = []
    startTimeout           = 120
    stopTimeout            = 5
    readonlyRootFilesystem = true
    logConfiguration       = local.logs["config"]
  }

  # The bridge's image has bash, curl and jq. It starts after those that it asks; it does not wait until they answer.
  occupancy_container = {
    name       = "occupancy"
    image      = local.image["jvb"]
    essential  = false
    entryPoint = ["bash", "-c"]
    command    = [file("${local.jitsi_config_dir}/occupancy.sh")]

    environment            = []
    portMappings           = []
    mountPoints            = []
    volumesFrom            = []
    systemControls         = []
    dependsOn              = [{ containerName = "jicofo", condition = "START" }, { containerName = "jvb", condition = "START" }]
    stopTimeout            = 5
    readonlyRootFilesystem = true
    logConfiguration       = local.logs["occupancy"]

    # A counter that dies must come back without taking the meeting along.
    restartPolicy = { enabled = true, restartAttemptPeriod = 60 }
  }

  container_definitions = concat([local.config_container], local.jitsi_containers, [local.occupancy_container])
}

resource "aws_ecs_cluster" "this" {
  #checkov:skip=CKV_AWS_65:Container Insights bills each metric; meetctl reads the state itself.
  name = local.cluster_name

  setting {
    name  = "containerInsights"
    value = "disabled"
  }
}

resource "aws_ecs_task_definition" "this" {
  #checkov:skip=CKV_AWS_336:See readonlyRootFilesystem above; the two helper containers are read-only.
  family                   = var.name
  network_mode             = "awsvpc"
  requires_compatibilities = ["FARGATE"]
  cpu                      = var.task_cpu
  memory                   = var.task_memory
  execution_role_arn       = aws_iam_role.execution.arn
  task_role_arn            = aws_iam_role.task.arn
  container_definitions    = jsonencode(local.container_definitions)

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.architecture
  }

  dynamic "volume" {
    for_each = ["web", "prosody", "jicofo", "jvb"]

    content {
      name = "config-${volume.value}"
    }
  }

  # The service moves on before its old revision goes. Terraform carries this over to what the revision needs, so that an
  # Elastic IP, too, is released last.
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_ecs_service" "this" {
  #checkov:skip=CKV_AWS_333:A public address is the alternative to a NAT gateway; the security group lets in only what must.
  name            = local.service_name
  cluster         = aws_ecs_cluster.this.id
  task_definition = aws_ecs_task_definition.this.arn
  launch_type     = "FARGATE"
  desired_count   = 0

  # LATEST is 1.4.0, which the secrets' JSON keys need.
  platform_version = "LATEST"

  # A new account may start 6 vCPU and the task takes 4: old and new never fit together.
  deployment_minimum_healthy_percent = 0
  deployment_maximum_percent         = 100
  availability_zone_rebalancing      = "DISABLED"
  health_check_grace_period_seconds  = 300

  # A rollback would hide why a start failed; meetctl tells.
  deployment_circuit_breaker {
    enable   = true
    rollback = false
  }

  # meetctl proves a start; Terraform must not wait for a task that it does not start.
  wait_for_steady_state   = false
  enable_ecs_managed_tags = true
  propagate_tags          = "SERVICE"

  network_configuration {
    subnets          = local.service_subnets
    security_groups  = [aws_security_group.task.id]
    assign_public_ip = true
  }

  dynamic "load_balancer" {
    for_each = local.powered ? [aws_lb_target_group.web.arn] : []

    content {
      target_group_arn = load_balancer.value
      container_name   = "web"
      container_port   = 8000
    }
  }

  dynamic "load_balancer" {
    for_each = local.powered ? aws_lb_target_group.jvb[*].arn : []

    content {
      target_group_arn = load_balancer.value
      container_name   = "jvb"
      container_port   = 10000
    }
  }

  lifecycle {
    ignore_changes = [desired_count]
  }

  # ECS refuses target groups without a listener; and a role whose policy goes first leaves the service stuck. On the way
  # down the load balancer goes first, then the service hears of it, then the old revision and the Elastic IP go. meetctl
  # has stopped the task before (that ECS minds nothing then is unverified on a live account).
  depends_on = [
    aws_lb_listener.https,
    aws_lb_listener.media,
    aws_iam_role_policy.execution,
    aws_iam_role_policy.task,
    aws_route.internet,
    aws_secretsmanager_secret_version.jitsi,
  ]
}
