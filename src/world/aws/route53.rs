//! Route 53: the record of the platform's name.

use aws_sdk_route53::types::{HostedZone, HostedZoneConfig, ResourceRecordSet, RrType};

use super::Aws;
use super::convert::at_once;
use super::error::is;
use crate::domain::name::Host;
use crate::domain::observed::Record;
use crate::world::CloudError;

const ZONES: &str = "route53:ListHostedZonesByName";
const RECORDS: &str = "route53:ListResourceRecordSets";

pub(super) async fn record(aws: &Aws) -> Result<Option<Record>, CloudError> {
    let host = bare(aws.host.as_str());
    let answers = at_once(zone_names(&aws.host).into_iter().map(|name| zone(aws, name))).await;
    // Longest first: an error for a longer name could hide the zone that counts.
    for answer in answers {
        if let Some(zone) = answer? {
            return record_in(aws, &zone, &host).await;
        }
    }
    Ok(None)
}

/// The names that the zone may have, longest first: the host itself and its parents, top-level domains left out.
fn zone_names(host: &Host) -> Vec<String> {
    let host = bare(host.as_str());
    let labels: Vec<&str> = host.split('.').collect();
    (0..labels.len() - 1).map(|first| labels[first..].join(".")).collect()
}

async fn zone(aws: &Aws, name: String) -> Result<Option<HostedZone>, CloudError> {
    // A private zone of the same name may come first.
    let asked = aws.route53.list_hosted_zones_by_name().dns_name(&name).max_items(10).send().await;
    let answer = asked.map_err(|e| aws.explain.error(ZONES, &e))?;
    let is_private = |zone: &HostedZone| zone.config().is_some_and(HostedZoneConfig::private_zone);
    Ok(answer.hosted_zones.into_iter().find(|zone| bare(zone.name()) == name && !is_private(zone)))
}

async fn record_in(aws: &Aws, zone: &HostedZone, host: &str) -> Result<Option<Record>, CloudError> {
    let asked = aws
        .route53
        .list_resource_record_sets()
        .hosted_zone_id(zone.id())
        .start_record_name(host)
        .start_record_type(RrType::A)
        .max_items(20)
        .send()
        .await;
    let answer = match asked {
        Err(error) if is(&error, &["NoSuchHostedZone"]) => return Ok(None),
        asked => asked.map_err(|e| aws.explain.error(RECORDS, &e))?,
    };
    // The listing starts at the name and goes on with the names after it.
    let ours = answer.resource_record_sets().iter().filter(|set| bare(set.name()) == host);
    let ours = ours.filter(|set| matches!(set.r#type(), RrType::A | RrType::Cname));
    let targets: Vec<String> = ours.flat_map(targets_of).collect();
    Ok((!targets.is_empty()).then(|| Record { zone: bare(zone.name()), targets }))
}

fn targets_of(set: &ResourceRecordSet) -> Vec<String> {
    match set.alias_target() {
        Some(alias) => vec![bare(alias.dns_name())],
        None => set.resource_records().iter().map(|record| bare(record.value())).collect(),
    }
}

/// Lower case, without the trailing dot, and with Route 53's octal escapes undone (`\052` for `*`).
fn bare(name: &str) -> String {
    let name = name.strip_suffix('.').unwrap_or(name);
    let mut parts = name.split('\\');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        if let Some(code) = part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            plain.push(char::from(code));
            plain.push_str(&part[3..]);
        } else {
            plain.push('\\');
            plain.push_str(part);
        }
    }
    plain.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_compared_bare() {
        assert_eq!(bare("Meet.Example.org."), "meet.example.org");
        assert_eq!(bare("\\052.example.org."), "*.example.org");
        assert_eq!(bare("a\\05"), "a\\05");
        assert_eq!(bare("\\999x"), "\\999x");
    }

    #[test]
    fn zones_are_the_host_and_its_parents() {
        let host = "meet.eu.example.org".parse().expect("a host");
        assert_eq!(zone_names(&host), ["meet.eu.example.org", "eu.example.org", "example.org"]);
    }

    proptest! {
        #[test]
        fn any_name_can_be_made_bare(name in any::<String>()) {
            let _ = bare(&name);
        }
    }
}
