resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_158:Encrypted with the key that CloudWatch owns; an own key costs $1 a month.
  #checkov:skip=CKV_AWS_338:A year of meeting logs is more than anybody should keep; see log_retention_days.
  name              = local.log_group_name
  retention_in_days = var.log_retention_days
}

# --- Who is told ---------------------------------------------------------------------------------------------------

resource "aws_sns_topic" "alarms" {
  #checkov:skip=CKV_AWS_26:CloudWatch cannot publish to a topic under the AWS managed key, and an own key costs $1 a month; alarms hold no secrets.
  name = "${var.name}-alarms"
}

resource "aws_sns_topic_subscription" "mail" {
  for_each = var.alarm_emails

  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = each.value
}

data "aws_iam_policy_document" "alarms" {
  statement {
    sid       = "AlarmsAndBudgetOfThisAccount"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.alarms.arn]

    principals {
      type        = "Service"
      identifiers = ["cloudwatch.amazonaws.com", "budgets.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account_id]
    }
  }
}

resource "aws_sns_topic_policy" "alarms" {
  arn    = aws_sns_topic.alarms.arn
  policy = data.aws_iam_policy_document.alarms.json
}

# --- Alarms: ten metrics in all, as many as are free ---------------------------------------------------------------

locals {
  # An alarm must name its load balancer. Powered down it names one that never was, so that it waits instead of being
  # made anew.
  balancer_dimension = one(aws_lb.this[*].arn_suffix) != null ? one(aws_lb.this[*].arn_suffix) : "net/${var.name}-nlb/powered-down"

  target_groups = merge(
    { web = aws_lb_target_group.web.arn_suffix },
    { for group in aws_lb_target_group.jvb : "jvb" => group.arn_suffix }
  )
}

# ECS reports CPU only while a task runs, and for nothing: hours with a reading are hours that are paid for. One more
# than the session may last, because the first and the last are seldom whole.
resource "aws_cloudwatch_metric_alarm" "running_too_long" {
  alarm_name        = "${var.name}-running-too-long"
  alarm_description = "A task has been running for more than ${var.longest_session_hours} hours. Nobody in a meeting? Then: meetctl down"
  alarm_actions     = [aws_sns_topic.alarms.arn]

  namespace           = "AWS/ECS"
  metric_name         = "CPUUtilization"
  dimensions          = { ClusterName = local.cluster_name, ServiceName = local.service_name }
  statistic           = "SampleCount"
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  period              = 3600
  evaluation_periods  = var.longest_session_hours + 1
  datapoints_to_alarm = var.longest_session_hours + 1
  treat_missing_data  = "notBreaching"
}

resource "aws_cloudwatch_metric_alarm" "unhealthy_targets" {
  for_each = local.target_groups

  alarm_name        = "${var.name}-unhealthy-${each.key}"
  alarm_description = "The load balancer finds ${each.key} unhealthy for five minutes. More: meetctl why"
  alarm_actions     = [aws_sns_topic.alarms.arn]
  ok_actions        = [aws_sns_topic.alarms.arn]

  namespace           = "AWS/NetworkELB"
  metric_name         = "UnHealthyHostCount"
  dimensions          = { LoadBalancer = local.balancer_dimension, TargetGroup = each.value }
  statistic           = "Maximum"
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  period              = 60
  evaluation_periods  = 5
  datapoints_to_alarm = 5
  treat_missing_data  = "notBreaching"
}

# The counter's lines become metrics, which exist only while there are lines ($0.30 a month each, by the hour).
locals {
  counted = {
    Participants = "$.participants"
    Rooms        = "$.conferences"
    Stress       = "$.jvb.stress_level"
    Loss         = "$.jvb.loss"
    FailedJoins  = "$.jvb.ice_failed"
    BytesSent    = "$.jvb.total_bytes_sent"
  }
}

resource "aws_cloudwatch_log_metric_filter" "counted" {
  for_each = local.counted

  name           = "${var.name}-${lower(each.key)}"
  log_group_name = aws_cloudwatch_log_group.this.name
  pattern        = "{ $.type = \"occupancy\" }"

  metric_transformation {
    namespace = var.name
    name      = each.key
    value     = each.value
  }
}

# ECS has no metric of its own for it, but every task begins with its files.
resource "aws_cloudwatch_log_metric_filter" "task_starts" {
  name           = "${var.name}-taskstarts"
  log_group_name = aws_cloudwatch_log_group.this.name
  pattern        = "\"meetctl: all files delivered\""

  metric_transformation {
    namespace = var.name
    name      = "TaskStarts"
    value     = "1"
  }
}

resource "aws_cloudwatch_metric_alarm" "restarts" {
  alarm_name        = "${var.name}-restarts"
  alarm_description = "Three tasks have started within an hour: one after the other ends. More: meetctl why"
  alarm_actions     = [aws_sns_topic.alarms.arn]

  namespace           = var.name
  metric_name         = aws_cloudwatch_log_metric_filter.task_starts.metric_transformation[0].name
  statistic           = "Sum"
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 3
  period              = 3600
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
}

resource "aws_cloudwatch_metric_alarm" "processor" {
  alarm_name        = "${var.name}-processor"
  alarm_description = "The task's processors have been nine tenths busy for ten minutes: sound and pictures stutter soon. Fewer cameras (video), or a larger task (task_cpu)"
  alarm_actions     = [aws_sns_topic.alarms.arn]
  ok_actions        = [aws_sns_topic.alarms.arn]

  namespace           = "AWS/ECS"
  metric_name         = "CPUUtilization"
  dimensions          = { ClusterName = local.cluster_name, ServiceName = local.service_name }
  statistic           = "Average"
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 90
  period              = 300
  evaluation_periods  = 2
  datapoints_to_alarm = 2
  treat_missing_data  = "notBreaching"
}

# The bridge counts from its start, so what matters is how much it grew. A bridge that starts anew within the five
# minutes may raise it without cause.
resource "aws_cloudwatch_metric_alarm" "failed_joins" {
  alarm_name        = "${var.name}-failed-joins"
  alarm_description = "Three people could not reach the bridge within five minutes: they are in the room without sound and pictures. More: meetctl health"
  alarm_actions     = [aws_sns_topic.alarms.arn]

  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 3
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"

  metric_query {
    id          = "failed"
    expression  = "most - least"
    label       = "failed joins"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = { most = "Maximum", least = "Minimum" }

    content {
      id = metric_query.key

      metric {
        namespace   = var.name
        metric_name = aws_cloudwatch_log_metric_filter.counted["FailedJoins"].metric_transformation[0].name
        stat        = metric_query.value
        period      = 300
      }
    }
  }
}

# ACM renews by itself 60 days before the end. When it has not three weeks before, the validation record is gone.
# https://docs.aws.amazon.com/acm/latest/userguide/cloudwatch-metrics.html
resource "aws_cloudwatch_metric_alarm" "certificate" {
  alarm_name        = "${var.name}-certificate"
  alarm_description = "The certificate ends in less than three weeks and was not renewed: its validation record in Route 53 must be there. More: meetctl health"
  alarm_actions     = [aws_sns_topic.alarms.arn]
  ok_actions        = [aws_sns_topic.alarms.arn]

  namespace           = "AWS/CertificateManager"
  metric_name         = "DaysToExpiry"
  dimensions          = { CertificateArn = aws_acm_certificate.this.arn }
  statistic           = "Minimum"
  comparison_operator = "LessThanThreshold"
  threshold           = 21
  period              = 86400
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
}

resource "aws_cloudwatch_metric_alarm" "no_data" {
  alarm_name        = "${var.name}-nobody-counts"
  alarm_description = "A task runs, but its counter has been silent for ten minutes: people in a meeting cannot be seen"
  alarm_actions     = [aws_sns_topic.alarms.arn]
  ok_actions        = [aws_sns_topic.alarms.arn]

  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  evaluation_periods  = 2
  datapoints_to_alarm = 2
  treat_missing_data  = "notBreaching"

  metric_query {
    id          = "silent"
    expression  = "IF(FILL(tasks, 0) > 0 AND FILL(lines, 0) == 0, 1, 0)"
    label       = "task without counter"
    return_data = true
  }

  metric_query {
    id = "tasks"

    metric {
      namespace   = "AWS/ECS"
      metric_name = "CPUUtilization"
      dimensions  = { ClusterName = local.cluster_name, ServiceName = local.service_name }
      stat        = "SampleCount"
      period      = 300
    }
  }

  metric_query {
    id = "lines"

    metric {
      namespace   = var.name
      metric_name = aws_cloudwatch_log_metric_filter.counted["Participants"].metric_transformation[0].name
      stat        = "SampleCount"
      period      = 300
    }
  }
}

# --- Dashboard: searches instead of ids, so that a power cycle does not change it ----------------------------------

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = var.name

  dashboard_body = jsonencode({
    widgets = [
      {
        type = "metric", x = 0, y = 0, width = 12, height = 6
        properties = {
          title   = "People and rooms"
          region  = var.region
          view    = "timeSeries"
          stat    = "Maximum"
          period  = 60
          metrics = [[var.name, "Participants"], [var.name, "Rooms"]]
        }
      },
      {
        type = "metric", x = 12, y = 0, width = 12, height = 6
        properties = {
          title  = "Processor and memory of the task"
          region = var.region
          view   = "timeSeries"
          stat   = "Maximum"
          period = 60
          metrics = [
            ["AWS/ECS", "CPUUtilization", "ClusterName", local.cluster_name, "ServiceName", local.service_name],
            ["AWS/ECS", "MemoryUtilization", "ClusterName", local.cluster_name, "ServiceName", local.service_name],
          ]
        }
      },
      {
        type = "metric", x = 0, y = 6, width = 12, height = 6
        properties = {
          title   = "Traffic through the load balancer"
          region  = var.region
          view    = "timeSeries"
          metrics = [[{ expression = "SEARCH('{AWS/NetworkELB,LoadBalancer} MetricName=\"ProcessedBytes\" \"net/${var.name}-nlb\"', 'Sum', 60)", id = "bytes" }]]
        }
      },
      {
        type = "metric", x = 12, y = 6, width = 12, height = 6
        properties = {
          title  = "Sent by the bridge, bytes a second"
          region = var.region
          view   = "timeSeries"
          metrics = [
            [{ expression = "RATE(sent)", id = "rate", label = "bytes a second" }],
            [var.name, "BytesSent", { id = "sent", stat = "Maximum", period = 60, visible = false }],
          ]
        }
      },
      {
        type = "metric", x = 0, y = 12, width = 12, height = 6
        properties = {
          title   = "Stress of the bridge, and packets lost (1: all)"
          region  = var.region
          view    = "timeSeries"
          stat    = "Maximum"
          period  = 60
          metrics = [[var.name, "Stress"], [var.name, "Loss"]]
        }
      },
      {
        type = "metric", x = 12, y = 12, width = 12, height = 6
        properties = {
          title   = "Failed joins since the task started, and starts of a task"
          region  = var.region
          view    = "timeSeries"
          period  = 60
          metrics = [[var.name, "FailedJoins", { stat = "Maximum" }], [var.name, "TaskStarts", { stat = "Sum" }]]
        }
      },
      {
        type = "metric", x = 0, y = 18, width = 12, height = 6
        properties = {
          title   = "Unhealthy targets"
          region  = var.region
          view    = "timeSeries"
          metrics = [[{ expression = "SEARCH('{AWS/NetworkELB,LoadBalancer,TargetGroup} MetricName=\"UnHealthyHostCount\" \"net/${var.name}-nlb\"', 'Maximum', 60)", id = "unhealthy" }]]
        }
      },
    ]
  })
}

# --- Budget --------------------------------------------------------------------------------------------------------

# For the whole account: a budget by tag sees nothing until somebody activates the tag in Billing.
# https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/activating-tags.html
resource "aws_budgets_budget" "this" {
  count = var.monthly_budget_usd > 0 ? 1 : 0

  name         = "${var.name}-monthly"
  budget_type  = "COST"
  limit_amount = tostring(var.monthly_budget_usd)
  limit_unit   = "USD"
  time_unit    = "MONTHLY"

  notification {
    comparison_operator        = "GREATER_THAN"
    threshold                  = 80
    threshold_type             = "PERCENTAGE"
    notification_type          = "ACTUAL"
    subscriber_sns_topic_arns  = [aws_sns_topic.alarms.arn]
    subscriber_email_addresses = var.alarm_emails
  }

  notification {
    comparison_operator        = "GREATER_THAN"
    threshold                  = 100
    threshold_type             = "PERCENTAGE"
    notification_type          = "FORECASTED"
    subscriber_sns_topic_arns  = [aws_sns_topic.alarms.arn]
    subscriber_email_addresses = var.alarm_emails
  }

  depends_on = [aws_sns_topic_policy.alarms]
}
