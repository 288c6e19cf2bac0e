//! What the platform costs per hour, from what exists.

use serde::Serialize;

use super::observed::{Architecture, Balancer, Observed, Reading, Task};
use super::price::{ADDRESS_HOUR, BALANCER_HOUR, FARGATE_ARM, FARGATE_X86};

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

impl From<f64> for Money {
    #[expect(clippy::cast_possible_truncation, reason = "a price is far below 2^63 millionths")]
    fn from(dollars: f64) -> Self {
        Self((dollars * 1_000_000.0).round() as i64)
    }
}

/// `$0.0275`: cents, and as many digits below them as it takes, up to four in all.
impl std::fmt::Display for Money {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let shown = format!("{:.4}", f64::from(*self).abs());
        let short = shown.strip_suffix("00").or_else(|| shown.strip_suffix('0')).unwrap_or(&shown);
        write!(f, "{sign}${short}")
    }
}

impl std::iter::Sum for Money {
    fn sum<I: Iterator<Item = Self>>(of: I) -> Self {
        Self(of.map(|m| m.0).sum())
    }
}

impl std::ops::Add for Money {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl std::ops::Sub for Money {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

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

/// The compute of one task, per hour.
pub fn compute(cpu_units: u32, mebibytes: u32, architecture: Architecture) -> f64 {
    let (vcpu, gb) = match architecture {
        Architecture::X86 => FARGATE_X86,
        Architecture::Arm => FARGATE_ARM,
    };
    (f64::from(cpu_units) * vcpu + f64::from(mebibytes) * gb) / 1024.0
}

fn task(task: &Task) -> [Item; 2] {
    [
        Item {
            what: format!("task ({} vCPU, {} GB)", task.cpu / 1024, task.memory / 1024),
            per_hour: compute(task.cpu, task.memory, task.architecture).into(),
        },
        Item { what: "public IPv4 of the task".into(), per_hour: ADDRESS_HOUR.into() },
    ]
}

fn balancer(balancer: &Balancer) -> [Item; 2] {
    [
        Item { what: "load balancer".into(), per_hour: BALANCER_HOUR.into() },
        Item {
            what: format!("{} public IPv4 of the load balancer", balancer.addresses),
            per_hour: (ADDRESS_HOUR * f64::from(balancer.addresses)).into(),
        },
    ]
}
