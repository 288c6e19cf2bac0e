# The passwords by which the containers know each other. They are made by an ephemeral resource and written through a
# write-only argument: no plan, no state and no log ever holds them.
# https://developer.hashicorp.com/terraform/language/resources/ephemeral

locals {
  # Jitsi passes them unquoted to a shell and inside plain quotes to a configuration file: letters and digits only.
  # https://github.com/jitsi/docker-jitsi-meet/blob/stable-11146-2/prosody/rootfs/etc/s6-overlay/scripts/register-setup
  passwords = toset(["JICOFO_AUTH_PASSWORD", "JVB_AUTH_PASSWORD"])
}

ephemeral "aws_secretsmanager_random_password" "jitsi" {
  for_each = local.passwords

  password_length            = 40
  exclude_punctuation        = true
  include_space              = false
  require_each_included_type = true
}

resource "aws_secretsmanager_secret" "jitsi" {
  #checkov:skip=CKV2_AWS_57:Rotation is a version number (secrets_version) and a restart; a rotation function would restart nothing.
  #checkov:skip=CKV_AWS_149:The key that AWS manages encrypts it; an own key costs $1 a month and changes no permission here.
  name                    = local.secret_name
  description             = "Passwords between the Jitsi containers of ${var.name}; generated, nobody needs to know them"
  recovery_window_in_days = var.secret_recovery_days
}

resource "aws_secretsmanager_secret_version" "jitsi" {
  secret_id = aws_secretsmanager_secret.jitsi.id

  secret_string_wo = jsonencode({
    for key in local.passwords : key => ephemeral.aws_secretsmanager_random_password.jitsi[key].random_password
  })
  secret_string_wo_version = var.secrets_version
}
