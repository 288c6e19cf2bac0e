locals {
  placeholder_address = "192.0.2.1"

  zone_name = var.zone_name != "" ? trimsuffix(var.zone_name, ".") : (
    var.create_zone ? var.domain : join(".", slice(split(".", var.domain), 1, length(split(".", var.domain))))
  )

  zone_id = var.zone_id != "" ? var.zone_id : (
    var.create_zone ? aws_route53_zone.this[0].zone_id : data.aws_route53_zone.existing[0].zone_id
  )
}

data "aws_route53_zone" "existing" {
  count = var.zone_id == "" && !var.create_zone ? 1 : 0

  name         = local.zone_name
  private_zone = false
}

resource "aws_route53_zone" "this" {
  #checkov:skip=CKV2_AWS_38:DNSSEC needs a customer-managed key ($1 a month) and a record at the parent domain.
  #checkov:skip=CKV2_AWS_39:Query logs are billed by the gigabyte and show nothing that matters here.
  count = var.create_zone ? 1 : 0

  name    = local.zone_name
  comment = "Video meetings of ${var.name}"
}

resource "aws_acm_certificate" "this" {
  domain_name       = var.domain
  validation_method = "DNS"

  lifecycle {
    create_before_destroy = true
  }
}

# ACM renews the certificate for as long as this record exists, also while everything else is powered down.
# https://docs.aws.amazon.com/acm/latest/userguide/dns-renewal-validation.html
resource "aws_route53_record" "validation" {
  for_each = {
    for option in aws_acm_certificate.this.domain_validation_options : option.domain_name => {
      name  = option.resource_record_name
      type  = option.resource_record_type
      value = option.resource_record_value
    }
  }

  zone_id         = local.zone_id
  name            = each.value.name
  type            = each.value.type
  ttl             = 300
  records         = [each.value.value]
  allow_overwrite = true
}

resource "aws_acm_certificate_validation" "this" {
  certificate_arn         = aws_acm_certificate.this.arn
  validation_record_fqdns = [for record in aws_route53_record.validation : record.fqdn]

  timeouts {
    create = "60m"
  }
}

# An alias: queries are free, and it follows the load balancer, whose own name changes with each power cycle. While
# powered down an address that leads nowhere takes its place (TEST-NET-1 of RFC 5737), because resolvers remember for a
# quarter of an hour that a name does not exist, and for a minute only that it leads there. Always one and the same
# record: it is changed, never deleted and made anew.
resource "aws_route53_record" "meet" {
  #checkov:skip=CKV2_AWS_23:Points to the load balancer of this module, or on purpose to nothing.
  zone_id = local.zone_id
  name    = var.domain
  type    = "A"
  ttl     = local.powered ? null : 60
  records = local.powered ? null : [local.placeholder_address]

  dynamic "alias" {
    for_each = aws_lb.this

    content {
      name                   = alias.value.dns_name
      zone_id                = alias.value.zone_id
      evaluate_target_health = false
    }
  }
}
