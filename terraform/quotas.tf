# What an account is allowed, asked before anything is made. Each is a check: too little is a warning that names the
# quota, and so is a question that is not answered. What is there already counts as well, the platform's own included.
# https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html

data "aws_vpcs" "all" {}

data "aws_vpcs" "own" {
  tags = { project = var.name }
}

data "aws_eips" "all" {}

data "aws_eips" "own" {
  tags = { project = var.name }
}

check "quota_of_processors" {
  data "aws_servicequotas_service_quota" "processors" {
    service_code = "fargate"
    quota_code   = "L-3032A538"
  }

  assert {
    condition     = data.aws_servicequotas_service_quota.processors.value >= var.task_cpu / 1024
    error_message = "Fargate may run ${data.aws_servicequotas_service_quota.processors.value} vCPU at once in ${var.region}, and the task takes ${var.task_cpu / 1024}. Ask for more under Service Quotas, AWS Fargate, \"Fargate On-Demand vCPU resource count\", or lower task_cpu."
  }
}

check "quota_of_networks" {
  data "aws_servicequotas_service_quota" "networks" {
    service_code = "vpc"
    quota_code   = "L-F678F1CE"
  }

  assert {
    condition     = length(data.aws_vpcs.own.ids) > 0 || data.aws_servicequotas_service_quota.networks.value > length(data.aws_vpcs.all.ids)
    error_message = "There are ${length(data.aws_vpcs.all.ids)} VPCs in ${var.region}, as many as the account may have. Delete one, or ask for more under Service Quotas, Amazon VPC, \"VPCs per Region\"."
  }
}

check "quota_of_addresses" {
  data "aws_servicequotas_service_quota" "addresses" {
    service_code = "ec2"
    quota_code   = "L-0263D0A3"
  }

  assert {
    condition     = !local.powered || !local.media_through_nlb || length(data.aws_eips.own.public_ips) > 0 || data.aws_servicequotas_service_quota.addresses.value > length(data.aws_eips.all.public_ips)
    error_message = "There are ${length(data.aws_eips.all.public_ips)} Elastic IPs in ${var.region}, as many as the account may have. Release one, ask for more under Service Quotas, Amazon EC2, \"EC2-VPC Elastic IPs\", or use media_ingress = \"task\"."
  }
}
