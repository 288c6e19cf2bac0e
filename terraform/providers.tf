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

# Which program made this state. Both read the other's, and write what it may not understand.
resource "terraform_data" "program" {
  input = var.program.name

  lifecycle {
    ignore_changes = [input]

    postcondition {
      condition     = contains(["", self.input], var.program.name) || self.input == ""
      error_message = "This platform was made with ${self.input}, and ${var.program.name} ${var.program.version} is running. Use ${self.input}; docs/guide-aws.md tells how to change over on purpose."
    }
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
