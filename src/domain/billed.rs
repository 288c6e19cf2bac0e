//! What has an hourly price and carries the project's tags.

use serde::Serialize;

use super::cost::Money;
use super::ownership::Tags;
use super::price::{ADDRESS_HOUR, BALANCER_HOUR, ENDPOINT_HOUR, NAT_HOUR};

/// One thing that is billed by the hour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Billed {
    pub arn: String,
    pub kind: Kind,
    pub witness: Witness,
    pub tags: Tags,
    /// Of a load balancer, as its owner says.
    pub placement: Option<Placement>,
}

/// What a load balancer is, and where it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Placement {
    /// Whether it is a network load balancer: the only kind that a platform has.
    pub network: bool,
    pub vpc: Option<String>,
    pub subnets: Vec<String>,
}

/// The kinds of things with an hourly price, by their ARNs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Balancer,
    Address,
    Task,
    NatGateway,
    Endpoint,
    /// Priced by the hour, at a price that is not in our table.
    Other,
}

/// Who says that it exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Witness {
    /// The service that owns it.
    Owner,
    /// Only the list of tags, which may name a thing for a while after it was deleted.
    TagsOnly,
}

impl Kind {
    /// What an ARN is of, when that has an hourly price. Groups, roles, listeners and the like have none.
    pub fn of(arn: &str) -> Option<Self> {
        let mut parts = arn.splitn(6, ':').skip(2);
        let (service, resource) = (parts.next()?, parts.nth(2)?);
        let kind = resource.split(['/', ':']).next().unwrap_or_default();
        match (service, kind) {
            ("elasticloadbalancing", "loadbalancer") => Some(Self::Balancer),
            ("ec2", "elastic-ip") => Some(Self::Address),
            ("ec2", "natgateway") => Some(Self::NatGateway),
            ("ec2", "vpc-endpoint") => Some(Self::Endpoint),
            ("ecs", "task") => Some(Self::Task),
            ("ec2", "instance" | "volume" | "transit-gateway-attachment")
            | ("rds", "db" | "cluster")
            | ("elasticache", _)
            | ("es", "domain") => Some(Self::Other),
            _ => None,
        }
    }

    pub const fn word(self) -> &'static str {
        match self {
            Self::Balancer => "load balancer",
            Self::Address => "public IPv4 address",
            Self::Task => "task",
            Self::NatGateway => "NAT gateway",
            Self::Endpoint => "VPC endpoint",
            Self::Other => "resource",
        }
    }

    /// What one costs an hour; `None` when our table does not know.
    pub fn per_hour(self) -> Option<Money> {
        match self {
            // A network load balancer in one zone has one public address of its own.
            Self::Balancer => Some((BALANCER_HOUR + ADDRESS_HOUR).into()),
            Self::Address => Some(ADDRESS_HOUR.into()),
            Self::NatGateway => Some(NAT_HOUR.into()),
            Self::Endpoint => Some(ENDPOINT_HOUR.into()),
            Self::Task | Self::Other => None,
        }
    }
}

impl Billed {
    /// Its last part of the ARN that a person would recognise.
    pub fn name(&self) -> &str {
        let resource = self.arn.splitn(6, ':').nth(5).unwrap_or(&self.arn);
        match self.kind {
            Kind::Balancer => resource.split('/').nth(2).unwrap_or(resource),
            Kind::Address | Kind::Task | Kind::NatGateway | Kind::Endpoint | Kind::Other => {
                resource.rsplit(['/', ':']).next().unwrap_or(resource)
            }
        }
    }
}

/// `load balancer old-nlb, $0.0275 an hour`
impl std::fmt::Display for Billed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}, ", self.kind.word(), self.name())?;
        match self.kind.per_hour() {
            Some(price) => write!(f, "{price} an hour")?,
            None => f.write_str("at an hourly price that is not in our table")?,
        }
        match self.witness {
            Witness::Owner => Ok(()),
            Witness::TagsOnly => f.write_str(" (only its tags say that it exists)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arns_are_told_apart() {
        let cases = [
            (
                "arn:aws:elasticloadbalancing:us-west-2:111122223333:loadbalancer/net/old-nlb/0123456789abcdef",
                Some(Kind::Balancer),
            ),
            ("arn:aws:elasticloadbalancing:us-west-2:111122223333:listener/net/old-nlb/0123/4567", None),
            ("arn:aws:elasticloadbalancing:us-west-2:111122223333:targetgroup/web/0123", None),
            ("arn:aws:ec2:us-west-2:111122223333:elastic-ip/eipalloc-0123", Some(Kind::Address)),
            ("arn:aws:ec2:us-west-2:111122223333:vpc/vpc-0123", None),
            ("arn:aws:ecs:us-west-2:111122223333:task/c/0123", Some(Kind::Task)),
            ("arn:aws:ecs:us-west-2:111122223333:task-definition/c:3", None),
            ("arn:aws:s3:::jitsi-video-platform-recordings-111122223333", None),
            ("arn:aws:rds:us-west-2:111122223333:db:x", Some(Kind::Other)),
            ("nonsense", None),
            ("", None),
        ];
        for (arn, kind) in cases {
            assert_eq!(Kind::of(arn), kind, "{arn}");
        }
    }

    #[test]
    fn a_leftover_is_named_with_its_price() {
        let arn = "arn:aws:elasticloadbalancing:us-west-2:111122223333:loadbalancer/net/old-nlb/0123456789abcdef";
        let billed = Billed {
            arn: arn.into(),
            kind: Kind::Balancer,
            witness: Witness::Owner,
            tags: Tags::default(),
            placement: None,
        };
        assert_eq!(billed.to_string(), "load balancer old-nlb, $0.0275 an hour");
        let address = Billed {
            arn: "arn:aws:ec2:us-west-2:111122223333:elastic-ip/eipalloc-0123".into(),
            kind: Kind::Address,
            witness: Witness::TagsOnly,
            ..billed
        };
        assert_eq!(
            address.to_string(),
            "public IPv4 address eipalloc-0123, $0.005 an hour (only its tags say that it exists)"
        );
    }
}
