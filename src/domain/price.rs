//! The dated table of prices, in US dollars for us-west-2, each with the page it is from.

/// When the prices were looked up, and for which region.
pub const RATES: &str = "us-west-2, September 2026";

/// <https://aws.amazon.com/fargate/pricing>: Linux x86, per vCPU and hour, per GB and hour.
pub const FARGATE_X86: (f64, f64) = (0.040_48, 0.004_445);
/// The same page: Linux ARM.
pub const FARGATE_ARM: (f64, f64) = (0.032_38, 0.003_56);
/// <https://aws.amazon.com/elasticloadbalancing/pricing>: a network load balancer, per hour or part of it.
pub const BALANCER_HOUR: f64 = 0.022_5;
/// The same page: one capacity unit, which carries one GB an hour.
pub const BALANCER_GB: f64 = 0.006;
/// <https://aws.amazon.com/vpc/pricing>: a public IPv4 address, in use or idle, per hour.
pub const ADDRESS_HOUR: f64 = 0.005;
/// The same page: a NAT gateway, per hour.
pub const NAT_HOUR: f64 = 0.045;
/// <https://aws.amazon.com/privatelink/pricing>: an interface endpoint, per zone and hour.
pub const ENDPOINT_HOUR: f64 = 0.01;
/// <https://aws.amazon.com/ec2/pricing/on-demand>: data out to the internet, per GB after the free ones.
pub const EGRESS_GB: f64 = 0.09;
/// The same page: free data out per month, for the whole account.
pub const EGRESS_FREE_GB: f64 = 100.0;
/// <https://aws.amazon.com/secrets-manager/pricing>: per secret and month.
pub const SECRET_MONTH: f64 = 0.40;
/// <https://aws.amazon.com/route53/pricing>: per hosted zone and month.
pub const ZONE_MONTH: f64 = 0.50;
/// What AWS's own calculator takes for a month.
pub const HOURS_A_MONTH: f64 = 730.0;
