provider "aws" {
  region              = var.region
  allowed_account_ids = var.account_id == "" ? null : [var.account_id]

  default_tags {
    tags = {
      project     = var.name
      environment = var.environment
      managed-by  = "terraform"
    }
  }

  # meetctl notes on the service who started it and when. Terraform must neither see nor remove that.
  ignore_tags {
    key_prefixes = ["meetctl:"]
  }
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  powered    = var.power == "standby"

  cluster_name      = "${var.name}-cluster"
  service_name      = "${var.name}-service"
  log_group_name    = "/ecs/${var.name}"
  secret_name       = "${var.name}-jitsi-secrets"
  recordings_bucket = "${var.name}-recordings-${local.account_id}"

  cluster_arn = "arn:${local.partition}:ecs:${var.region}:${local.account_id}:cluster/${local.cluster_name}"
  service_arn = "arn:${local.partition}:ecs:${var.region}:${local.account_id}:service/${local.cluster_name}/${local.service_name}"
}
