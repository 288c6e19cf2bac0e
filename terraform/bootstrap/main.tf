# The bucket that holds Terraform's state. It is made once, from a state of its own, so that `destroy` of the platform
# can never take away the ground it stands on.

terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}

variable "name" {
  description = "Name of the platform, as in the main module."
  type        = string
  default     = "jitsi-video-platform"

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,22}[a-z0-9])?$", var.name)) && !can(regex("^(internal-|xn--|sthree-|amzn-s3-demo-)", var.name))
    error_message = "name: 1 to 24 characters, lowercase letters, digits and hyphens, beginning with a letter, not ending with a hyphen, and not beginning with internal-, xn--, sthree- or amzn-s3-demo-."
  }
}

variable "environment" {
  description = "Value of the `environment` tag."
  type        = string
  default     = "production"
}

variable "region" {
  description = "AWS region of the bucket."
  type        = string
  default     = "us-west-2"
}

variable "account_id" {
  description = "AWS account in which this may be created; credentials of another account are refused. Empty: any account."
  type        = string
  default     = ""
}

variable "adopt" {
  description = "The bucket exists and belongs to this account: take it over instead of creating it. Makes a second bootstrap, from another laptop, harmless."
  type        = bool
  default     = false
}

variable "delete_state" {
  description = "Let `destroy` delete the bucket together with every version of the state in it."
  type        = bool
  default     = false
}

provider "aws" {
  region              = var.region
  allowed_account_ids = var.account_id == "" ? null : [var.account_id]

  default_tags {
    tags = {
      project     = var.name
      environment = var.environment
      managed-by  = "terraform-bootstrap"
    }
  }
}

data "aws_caller_identity" "current" {}

locals {
  bucket = "${var.name}-tfstate-${data.aws_caller_identity.current.account_id}"
}

import {
  for_each = var.adopt ? toset([local.bucket]) : toset([])

  to = aws_s3_bucket.state
  id = each.value
}

resource "aws_s3_bucket" "state" {
  #checkov:skip=CKV_AWS_18:An access log would need a second bucket that grows for ever.
  #checkov:skip=CKV_AWS_144:The state can be imported again; a copy elsewhere is not worth its price.
  #checkov:skip=CKV_AWS_145:Encrypted with the key that S3 manages; the state holds no secret.
  #checkov:skip=CKV2_AWS_62:Nothing waits for changes of the state.
  bucket        = local.bucket
  force_destroy = var.delete_state
}

resource "aws_s3_bucket_public_access_block" "state" {
  bucket = aws_s3_bucket.state.id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "state" {
  bucket = aws_s3_bucket.state.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "state" {
  bucket = aws_s3_bucket.state.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_versioning" "state" {
  bucket = aws_s3_bucket.state.id

  versioning_configuration {
    status = "Enabled"
  }
}

# Old versions are the way back from a broken state; three months of them are enough.
resource "aws_s3_bucket_lifecycle_configuration" "state" {
  bucket = aws_s3_bucket.state.id

  rule {
    id     = "old-versions"
    status = "Enabled"

    filter {}

    noncurrent_version_expiration {
      noncurrent_days = 90
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 3
    }
  }

  depends_on = [aws_s3_bucket_versioning.state]
}

data "aws_iam_policy_document" "state" {
  statement {
    sid       = "OnlyOverTls"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.state.arn, "${aws_s3_bucket.state.arn}/*"]

    principals {
      type        = "AWS"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_s3_bucket_policy" "state" {
  bucket = aws_s3_bucket.state.id
  policy = data.aws_iam_policy_document.state.json

  depends_on = [aws_s3_bucket_public_access_block.state]
}

output "bucket" {
  description = "For `-backend-config=bucket=…` of the main module."
  value       = aws_s3_bucket.state.bucket
}

output "key" {
  description = "For `-backend-config=key=…` of the main module."
  value       = "${var.name}/terraform.tfstate"
}
