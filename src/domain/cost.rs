//! What the platform costs per hour, from what exists.

use serde::Serialize;

use super::observed::{Architecture, Balancer, Observed, Reading, Task};

/// When the rates below were looked up, and for which region.
pub const RATES: &str = "us-west-2, September 2026";

/// US dollars, in millionths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(into = "f64")]
pub struct Money(pub i64);

impl From<Money> for f64 {
    #[expect(clippy::cast_precision_loss, reason = "a price is far below 2^53 millionths")]
    fn from(money: Money) -> f64 {
        money.0 as f64 / 1_000_000.0
    }
}

impl std::iter::Sum for Money {
    fn sum<I: Iterator<Item = Self>>(of: I) -> Self {
        Self(of.map(|m| m.0).sum())
    }
}

/// aws.amazon.com/fargate/pricing, per vCPU and per GB, each hour.
const X86: (i64, i64) = (40_480, 4_445);
const ARM: (i64, i64) = (32_380, 3_560);
/// aws.amazon.com/elasticloadbalancing/pricing, per hour or part of it.
const BALANCER: i64 = 22_500;
/// aws.amazon.com/vpc/pricing, per address and hour, in use or idle.
const ADDRESS: i64 = 5_000;

/// One thing with an hourly price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    pub what: String,
    pub per_hour: Money,
}

/// What is known of the cost of this hour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cost {
    pub per_hour: Money,
    pub items: Vec<Item>,
    /// What could not be read, so that the sum is a lower bound.
    pub unknown: Vec<String>,
    /// What no sum here contains.
    pub not_counted: &'static str,
}

impl Cost {
    /// The cost per hour of what was seen. A task counts from the moment at which it is asked for.
    pub fn of(seen: &Observed) -> Self {
        let mut items = Vec::new();
        let mut unknown = Vec::new();
        match &seen.tasks {
            Reading::Unreadable(_) => unknown.push("tasks".to_owned()),
            Reading::Present(_) | Reading::Absent => items.extend(seen.live_tasks().flat_map(task)),
        }
        match &seen.balancer {
            Reading::Unreadable(_) => unknown.push("load balancer".to_owned()),
            Reading::Absent => {}
            Reading::Present(it) => items.extend(balancer(it)),
        }
        Self {
            per_hour: items.iter().map(|i| i.per_hour).sum(),
            items,
            unknown,
            not_counted: "traffic, logs, storage, the secret and the hosted zone",
        }
    }
}

fn task(task: &Task) -> [Item; 2] {
    let (vcpu, gb) = match task.architecture {
        Architecture::X86 => X86,
        Architecture::Arm => ARM,
    };
    let compute = (i64::from(task.cpu) * vcpu + i64::from(task.memory) * gb) / 1024;
    [
        Item { what: format!("task ({} vCPU, {} GB)", task.cpu / 1024, task.memory / 1024), per_hour: Money(compute) },
        Item { what: "public IPv4 of the task".into(), per_hour: Money(ADDRESS) },
    ]
}

fn balancer(balancer: &Balancer) -> [Item; 2] {
    [
        Item { what: "load balancer".into(), per_hour: Money(BALANCER) },
        Item {
            what: format!("{} public IPv4 of the load balancer", balancer.addresses),
            per_hour: Money(ADDRESS * i64::from(balancer.addresses)),
        },
    ]
}
