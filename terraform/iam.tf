# Two roles. ECS uses the execution role before the containers run (image, secret, logs); the containers use the task
# role. Policies for people are in ./policies.

data "aws_iam_policy_document" "tasks_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ecs-tasks.amazonaws.com"]
    }

    # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account_id]
    }

    condition {
      test     = "ArnLike"
      variable = "aws:SourceArn"
      values   = ["arn:${local.partition}:ecs:${var.region}:${local.account_id}:*"]
    }
  }
}

locals {
  permissions_boundary = var.permissions_boundary == "" ? null : var.permissions_boundary

  # 111122223333.dkr.ecr.us-west-2.amazonaws.com/path
  ecr      = regexall("^([0-9]{12})\\.dkr\\.ecr\\.([a-z0-9-]+)\\.amazonaws\\.com(?:/(.+))?$", var.image_registry)
  ecr_path = length(local.ecr) == 0 ? "" : try(coalesce(local.ecr[0][2]), "") == "" ? "" : "${local.ecr[0][2]}/"
}

resource "aws_iam_role" "execution" {
  name                 = "${var.name}-execution"
  description          = "ECS prepares the task of ${var.name}: reads its secret, opens its logs"
  assume_role_policy   = data.aws_iam_policy_document.tasks_trust.json
  permissions_boundary = local.permissions_boundary
}

data "aws_iam_policy_document" "execution" {
  statement {
    sid       = "Secret"
    actions   = ["secretsmanager:GetSecretValue"]
    resources = [aws_secretsmanager_secret.jitsi.arn]
  }

  statement {
    sid       = "Logs"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.this.arn}:log-stream:*"]
  }

  dynamic "statement" {
    for_each = local.ecr

    content {
      sid = "Images"
      # The last one fills a pull-through cache; a repository that is filled by hand does not need it.
      actions   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchImportUpstreamImage"]
      resources = [for image in ["web", "prosody", "jicofo", "jvb"] : "arn:${local.partition}:ecr:${statement.value[1]}:${statement.value[0]}:repository/${local.ecr_path}${image}"]
    }
  }

  dynamic "statement" {
    for_each = local.ecr

    # This one action knows no resources.
    content {
      sid       = "RegistryToken"
      actions   = ["ecr:GetAuthorizationToken"]
      resources = ["*"]
    }
  }
}

resource "aws_iam_role_policy" "execution" {
  name   = "prepare-the-task"
  role   = aws_iam_role.execution.id
  policy = data.aws_iam_policy_document.execution.json
}

resource "aws_iam_role" "task" {
  name                 = "${var.name}-task"
  description          = "The containers of ${var.name}: may protect their own task while people meet, and nothing else"
  assume_role_policy   = data.aws_iam_policy_document.tasks_trust.json
  permissions_boundary = local.permissions_boundary
}

# Counting needs no permission (loopback), logging is the execution role's. It may not start or stop anything.
# https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-scale-in-protection-endpoint.html
data "aws_iam_policy_document" "task" {
  statement {
    sid       = "ProtectOwnTask"
    actions   = ["ecs:GetTaskProtection", "ecs:UpdateTaskProtection"]
    resources = ["arn:${local.partition}:ecs:${var.region}:${local.account_id}:task/${local.cluster_name}/*"]
  }
}

resource "aws_iam_role_policy" "task" {
  name   = "protect-while-people-meet"
  role   = aws_iam_role.task.id
  policy = data.aws_iam_policy_document.task.json
}
