# The end of a platform: the same state, and a configuration in which nothing is left. What the state holds and no
# configuration names, Terraform plans to delete, in the order in which it was made. `terraform destroy` is not used
# because it knows no exception: it would take the recordings along, or stop half-way at a bucket that is not empty.

terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }

  backend "s3" {
    use_lockfile = true
    encrypt      = true
  }
}

variable "region" {
  description = "AWS region of the platform."
  type        = string
}

variable "account_id" {
  description = "AWS account of the platform; credentials of another account are refused."
  type        = string
}

provider "aws" {
  region              = var.region
  allowed_account_ids = [var.account_id]
}
