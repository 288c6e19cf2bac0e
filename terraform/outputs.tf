output "cluster_name" {
  description = "ECS cluster."
  value       = aws_ecs_cluster.this.name
}

output "service_name" {
  description = "ECS service."
  value       = aws_ecs_service.this.name
}

output "load_balancer_arn" {
  description = "The load balancer, or null while powered down."
  value       = one(aws_lb.this[*].arn)
}

output "load_balancer_dns_name" {
  description = "AWS' own name of the load balancer, or null while powered down."
  value       = one(aws_lb.this[*].dns_name)
}

output "target_group_arns" {
  description = "Target groups by container: web, and jvb when media takes the load balancer's way."
  value       = merge({ web = aws_lb_target_group.web.arn }, { for group in aws_lb_target_group.jvb : "jvb" => group.arn })
}

output "task_definition_arn" {
  description = "Task definition with its revision."
  value       = aws_ecs_task_definition.this.arn
}

output "secret_arn" {
  description = "Secret with the containers' passwords."
  value       = aws_secretsmanager_secret.jitsi.arn
}

output "log_group_name" {
  description = "Log group of all containers."
  value       = aws_cloudwatch_log_group.this.name
}

output "recordings_bucket" {
  description = "Bucket for recordings."
  value       = aws_s3_bucket.recordings.bucket
}

output "zone_id" {
  description = "Route 53 zone of the domain."
  value       = local.zone_id
}

output "zone_name_servers" {
  description = "Name servers to enter at the parent domain, when the zone is created here."
  value       = var.create_zone ? aws_route53_zone.this[0].name_servers : []
}

output "certificate_arn" {
  description = "Certificate of the domain."
  value       = aws_acm_certificate.this.arn
}

output "media_ingress" {
  description = "How media reaches the bridge: nlb or task."
  value       = var.media_ingress
}

output "media_addresses" {
  description = "Addresses that the bridge advertises; empty when the task finds its own, or while powered down."
  value       = aws_eip.media[*].public_ip
}

output "placeholder_address" {
  description = "Address to which the name leads while powered down."
  value       = local.placeholder_address
}

output "power" {
  description = "The power level that was applied: standby or powered-down."
  value       = var.power
}

output "schedule_group_name" {
  description = "EventBridge Scheduler group for schedules of the service; empty."
  value       = aws_scheduler_schedule_group.this.name
}

output "scheduler_role_arn" {
  description = "Role that schedules in that group act with."
  value       = aws_iam_role.scheduler.arn
}

output "alarm_topic_arn" {
  description = "SNS topic that is told about alarms."
  value       = aws_sns_topic.alarms.arn
}

output "alarm_emails" {
  description = "Addresses that get the alarms; empty: nobody is told."
  value       = var.alarm_emails
}

output "images" {
  description = "Image of each Jitsi container, by tag or by digest."
  value       = local.image
}

output "program" {
  description = "Program that applied this, and its version, as meetctl said; empty without meetctl."
  value       = var.program
}
