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

# --- Alarms --------------------------------------------------------------------------------------------------------

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

# The counter's lines become a metric that exists only while there are lines ($0.30 a month, by the hour).
resource "aws_cloudwatch_log_metric_filter" "occupancy" {
  name           = "${var.name}-occupancy"
  log_group_name = aws_cloudwatch_log_group.this.name
  pattern        = "{ $.type = \"occupancy\" }"

  metric_transformation {
    namespace = var.name
    name      = "Participants"
    value     = "$.participants"
  }
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
      namespace   = aws_cloudwatch_log_metric_filter.occupancy.metric_transformation[0].namespace
      metric_name = aws_cloudwatch_log_metric_filter.occupancy.metric_transformation[0].name
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
          title   = "People in meetings"
          region  = var.region
          view    = "timeSeries"
          stat    = "Maximum"
          period  = 60
          metrics = [[var.name, "Participants"]]
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
