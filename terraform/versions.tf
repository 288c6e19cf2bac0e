# Version 6 of the provider is untried here: it may come when the tests have run with it.
#
# 1.11 is the first release with write-only arguments and a general native S3 lock; OpenTofu has both since 1.11.
# https://developer.hashicorp.com/terraform/language/resources/ephemeral/write-only
terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }

  # Bucket, key and region come from `-backend-config`; the bucket is made by ./bootstrap.
  # The lock is an object beside the state, so no DynamoDB table is needed.
  # https://developer.hashicorp.com/terraform/language/backend/s3
  backend "s3" {
    use_lockfile = true
    encrypt      = true
  }
}
