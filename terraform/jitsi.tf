# Renders ../jitsi-config and packs it into one script for the container `config`: no image to build, no bucket to read,
# and a change of a file is a change of the task definition. The limit of 64 KiB is watched below.
# https://docs.aws.amazon.com/general/latest/gr/ecs-service.html

locals {
  jitsi_config_dir = var.jitsi_config_dir != "" ? var.jitsi_config_dir : "${path.module}/../jitsi-config"
  theme_dir        = "${local.jitsi_config_dir}/themes/${var.branding.theme}"

  template_values = {
    domain     = var.domain
    url        = "https://${var.domain}"
    title      = var.branding.title
    provider   = var.branding.provider
    link       = var.branding.link != "" ? var.branding.link : "https://${var.domain}"
    background = var.branding.background
    surface    = var.branding.surface
    accent     = var.branding.accent
    text       = var.branding.text
    last_n     = var.video.last_n

    frame_ancestors = var.frame_ancestors
    csp_report_only = var.csp_report_only
  }

  # Where each file ends up: below /config of the container that the path begins with.
  # https://github.com/jitsi/docker-jitsi-meet/blob/stable-11146-2/web/rootfs/etc/s6-overlay/scripts/config
  config_files = {
    "web/custom-config.js"           = templatefile("${local.jitsi_config_dir}/web/custom-config.js.tftpl", local.template_values)
    "web/custom-interface_config.js" = templatefile("${local.jitsi_config_dir}/web/custom-interface_config.js.tftpl", local.template_values)
    "web/nginx-custom/branding.conf" = file("${local.jitsi_config_dir}/web/nginx/branding.conf")
    "web/nginx-custom/headers.conf"  = templatefile("${local.jitsi_config_dir}/web/nginx/headers.conf.tftpl", local.template_values)
    "web/branding/branding.json"     = templatefile("${local.jitsi_config_dir}/web/branding/branding.json.tftpl", local.template_values)
    "web/branding/title.html"        = templatefile("${local.jitsi_config_dir}/web/branding/title.html.tftpl", local.template_values)
    "web/branding/logo.svg"          = file("${local.theme_dir}/logo.svg")
    "web/branding/background.svg"    = file("${local.theme_dir}/background.svg")

    "prosody/conf.d/zz-meetctl.cfg.lua" = file("${local.jitsi_config_dir}/prosody/zz-meetctl.cfg.lua")
    "jicofo/custom-jicofo.conf"         = file("${local.jitsi_config_dir}/jicofo/custom-jicofo.conf")
    "jvb/custom-jvb.conf"               = file("${local.jitsi_config_dir}/jvb/custom-jvb.conf")
  }

  config_script = templatefile("${local.jitsi_config_dir}/deliver.sh.tftpl", {
    files = { for path, text in local.config_files : path => base64encode(text) }
  })
}

check "task_definition_size" {
  assert {
    condition     = length(jsonencode(local.container_definitions)) < 60 * 1024
    error_message = "The container definitions come close to the 64 KiB that ECS allows: make the files in jitsi-config smaller (most often the theme's pictures)."
  }
}
