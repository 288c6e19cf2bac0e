# Present unless the recordings are to be deleted: the bucket, and the settings that keep it private, are let go of and
# not touched. The next `deploy` takes them over again (`adopt_recordings_bucket`).
# https://developer.hashicorp.com/terraform/language/resources/syntax#removing-resources

removed {
  from = aws_s3_bucket.recordings

  lifecycle {
    destroy = false
  }
}

removed {
  from = aws_s3_bucket_public_access_block.recordings

  lifecycle {
    destroy = false
  }
}

removed {
  from = aws_s3_bucket_ownership_controls.recordings

  lifecycle {
    destroy = false
  }
}

removed {
  from = aws_s3_bucket_server_side_encryption_configuration.recordings

  lifecycle {
    destroy = false
  }
}

removed {
  from = aws_s3_bucket_versioning.recordings

  lifecycle {
    destroy = false
  }
}

removed {
  from = aws_s3_bucket_lifecycle_configuration.recordings

  lifecycle {
    destroy = false
  }
}

removed {
  from = aws_s3_bucket_policy.recordings

  lifecycle {
    destroy = false
  }
}
