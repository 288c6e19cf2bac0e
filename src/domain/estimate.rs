//! What a month costs, by level, by hours and by meeting with its traffic.

use std::str::FromStr;

use serde::Serialize;

use super::cost::{Money, compute};
use super::observed::Architecture;
use super::price::{
    ADDRESS_HOUR, BALANCER_GB, BALANCER_HOUR, EGRESS_FREE_GB, EGRESS_GB, HOURS_A_MONTH, SECRET_MONTH, ZONE_MONTH,
};

/// The task of the stack: 4 vCPU and 8 GB.
const TASK: (u32, u32) = (4096, 8192);

/// How media comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ingress {
    /// UDP passes the load balancer, which counts each gigabyte.
    Nlb,
    /// UDP goes straight to the task's own address.
    Task,
}

/// Where the platform rests between meetings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rest {
    Standby,
    PoweredDown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Codec {
    Vp8,
    Vp9,
    Av1,
    H264,
}

/// How participants look at each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum View {
    /// One large, the others small.
    Stage,
    /// All alike.
    Tile,
}

/// The client's caps in kbit/s: small (180p), middle (360p), large (720p).
/// <https://github.com/jitsi/lib-jitsi-meet>, `StandardVideoQualitySettings`.
const fn caps(codec: Codec) -> [f64; 3] {
    match codec {
        Codec::Vp8 => [200.0, 500.0, 1500.0],
        Codec::Vp9 => [100.0, 300.0, 1200.0],
        Codec::Av1 => [100.0, 300.0, 1000.0],
        Codec::H264 => [400.0, 800.0, 2000.0],
    }
}

/// An Opus stream while somebody speaks, in kbit/s: an assumption.
const SPEECH: f64 = 40.0;
/// How many speak at once: an assumption.
const SPEAKERS: f64 = 2.0;
/// Up to this many participants, tiles are large enough for the middle quality.
const LARGE_TILES: u32 = 6;
/// One kbit/s for an hour, in GB.
const GB_PER_KBPS_HOUR: f64 = 0.000_45;

/// A meeting, all cameras on: upper bounds, because congestion control and muted cameras only lower them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Meeting {
    pub participants: u32,
    pub codec: Codec,
    pub view: View,
}

impl Meeting {
    /// What the bridge sends, in GB an hour. Two people talk directly, past the bridge.
    pub fn egress(&self) -> f64 {
        if self.participants < 3 {
            return 0.0;
        }
        let [small, middle, large] = caps(self.codec);
        let others = f64::from(self.participants - 1);
        let video = match self.view {
            View::Stage => large + (others - 1.0) * small,
            View::Tile if self.participants <= LARGE_TILES => others * middle,
            View::Tile => others * small,
        };
        f64::from(self.participants) * (video + SPEAKERS * SPEECH) * GB_PER_KBPS_HOUR
    }

    /// What the bridge receives, in GB an hour: each camera in three qualities.
    pub fn ingress(&self) -> f64 {
        if self.participants < 3 {
            return 0.0;
        }
        let simulcast: f64 = caps(self.codec).iter().sum();
        (f64::from(self.participants) * simulcast + SPEAKERS * SPEECH) * GB_PER_KBPS_HOUR
    }
}

/// How the platform is used in a month.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Usage {
    /// How often it is started.
    pub sessions: u32,
    /// How long it runs each time, in hours: the meeting, and the time before and after it.
    pub session_hours: f64,
    /// Of these, how long the meeting is.
    pub meeting_hours: f64,
    pub meeting: Option<Meeting>,
    pub ingress: Ingress,
    pub rest: Rest,
    pub architecture: Architecture,
    /// Public IPv4 addresses of the load balancer: one for each zone.
    pub zones: u32,
}

/// One line of a month's bill.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    pub what: String,
    pub amount: Money,
}

/// A month's bill.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Month {
    pub lines: Vec<Line>,
    pub total: Money,
    /// What goes out to the internet, in GB.
    pub egress_gb: f64,
}

impl Usage {
    /// The bill, when nothing else in the account uses the free traffic.
    pub fn month(&self) -> Month {
        let hours = f64::from(self.sessions) * self.session_hours;
        let talked = f64::from(self.sessions) * self.meeting_hours;
        let out = self.meeting.map_or(0.0, |m| m.egress() * talked);
        let through = self.meeting.map_or(0.0, |m| (m.egress() + m.ingress()) * talked);
        let balanced = self.balancer_hours();
        let mut lines = vec![
            line("compute (4 vCPU, 8 GB)", hours * compute(TASK.0, TASK.1, self.architecture)),
            line("public IPv4 of the task", hours * ADDRESS_HOUR),
            line("load balancer", balanced * BALANCER_HOUR),
            line("public IPv4 of the load balancer", balanced * f64::from(self.zones) * ADDRESS_HOUR),
            line("traffic out", (out - EGRESS_FREE_GB).max(0.0) * EGRESS_GB),
            line("secret", SECRET_MONTH),
            line("hosted zone", ZONE_MONTH),
        ];
        if self.ingress == Ingress::Nlb {
            lines.push(line("load balancer capacity", through * BALANCER_GB));
        }
        Month { total: lines.iter().map(|l| l.amount).sum(), lines, egress_gb: out }
    }

    /// A load balancer is billed by whole hours, and a power cycle touches one more than it lasts.
    fn balancer_hours(&self) -> f64 {
        match self.rest {
            Rest::Standby => HOURS_A_MONTH.max(f64::from(self.sessions) * self.session_hours),
            Rest::PoweredDown => f64::from(self.sessions) * (self.session_hours.ceil() + 1.0),
        }
    }
}

fn line(what: &str, dollars: f64) -> Line {
    Line { what: what.to_owned(), amount: dollars.into() }
}

/// What a level costs while nothing else happens.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LevelCost {
    pub level: &'static str,
    pub per_hour: Money,
    pub per_month: Money,
}

/// The levels, for a load balancer in `zones` zones; traffic and storage are not in it.
pub fn levels(zones: u32, architecture: Architecture) -> [LevelCost; 4] {
    let kept = SECRET_MONTH + ZONE_MONTH;
    let ingress = BALANCER_HOUR + f64::from(zones) * ADDRESS_HOUR;
    let running = compute(TASK.0, TASK.1, architecture) + ADDRESS_HOUR + ingress;
    let level = |level, hourly: f64, kept: f64| LevelCost {
        level,
        per_hour: hourly.into(),
        per_month: (hourly * HOURS_A_MONTH + kept).into(),
    };
    [
        level("running", running, kept),
        level("standby", ingress, kept),
        level("powered-down", 0.0, kept),
        level("destroyed", 0.0, 0.0),
    ]
}

/// One row of the table that the project began with, next to what the month really costs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SeedRow {
    pub hours: u32,
    /// As claimed then: $16.62 and $0.198 an hour.
    pub claimed: Money,
    /// Standby all month, without traffic.
    pub standby: Money,
    /// Powered down between sessions of two hours, without traffic.
    pub powered_down: Money,
}

/// Hours a month, and the total that was claimed for them in the README of the ancestor project.
const SEED: [(u32, f64); 5] = [(0, 16.62), (10, 18.60), (60, 28.63), (120, 40.38), (744, 163.93)];

pub fn seed_table(zones: u32, architecture: Architecture) -> [SeedRow; 5] {
    SEED.map(|(hours, claimed)| {
        let month = |rest| {
            // Sessions of two hours; a month that is on all the time is one session.
            let (sessions, session_hours) = if hours >= 744 { (1, 744.0) } else { (hours / 2, 2.0) };
            let usage = Usage {
                sessions,
                session_hours,
                meeting_hours: 0.0,
                meeting: None,
                ingress: Ingress::Task,
                rest,
                architecture,
                zones,
            };
            usage.month().total
        };
        SeedRow {
            hours,
            claimed: claimed.into(),
            standby: month(Rest::Standby),
            powered_down: month(Rest::PoweredDown),
        }
    })
}

macro_rules! words {
    ($($name:ident { $($variant:ident = $word:literal),* })*) => {$(
        impl FromStr for $name {
            type Err = String;
            fn from_str(given: &str) -> Result<Self, String> {
                match given {
                    $($word => Ok(Self::$variant),)*
                    _ => Err(format!("{given:?} is none of {}", [$($word),*].join(", "))),
                }
            }
        }
    )*};
}

words! {
    Ingress { Nlb = "nlb", Task = "task" }
    Rest { Standby = "standby", PoweredDown = "powered-down" }
    Codec { Vp8 = "vp8", Vp9 = "vp9", Av1 = "av1", H264 = "h264" }
    View { Stage = "stage", Tile = "tile" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: Money, dollars: f64) {
        let off = f64::from(found) - dollars;
        assert!(off.abs() < 0.005, "{} instead of {dollars}", f64::from(found));
    }

    fn meeting(participants: u32, codec: Codec, view: View) -> Meeting {
        Meeting { participants, codec, view }
    }

    /// By hand: 10 × (1500 + 8 × 200 + 80) kbit/s × 0.45 MB = 14.31 GB; 10 × (9 × 200 + 80) = 8.46 GB;
    /// 3 × (2 × 500 + 80) = 1.458 GB; 10 × (1000 + 8 × 100 + 80) = 8.46 GB.
    #[test]
    fn traffic_grows_with_the_square_of_the_people() {
        let gb = |m: Meeting| format!("{:.3}", m.egress());
        assert_eq!(gb(meeting(10, Codec::Vp8, View::Stage)), "14.310");
        assert_eq!(gb(meeting(10, Codec::Vp8, View::Tile)), "8.460");
        assert_eq!(gb(meeting(3, Codec::Vp8, View::Tile)), "1.458");
        assert_eq!(gb(meeting(10, Codec::Av1, View::Stage)), "8.460");
        assert_eq!(gb(meeting(2, Codec::Vp8, View::Stage)), "0.000");
    }

    /// By hand: 4 × 0.04048 + 8 × 0.004445 = 0.19748, + 0.005 + 0.0225 + 0.005 = 0.22998 an hour;
    /// 0.0275 × 730 + 0.90 = 20.975 a month.
    #[test]
    fn levels_cost_what_they_cost() {
        let [running, standby, powered_down, destroyed] = levels(1, Architecture::X86);
        near(running.per_hour, 0.229_98);
        near(standby.per_hour, 0.0275);
        near(standby.per_month, 20.975);
        near(powered_down.per_month, 0.90);
        near(destroyed.per_month, 0.0);
        near(levels(2, Architecture::X86)[1].per_month, 24.625);
        near(levels(1, Architecture::Arm)[0].per_hour, 0.190_5);
    }

    /// By hand, eight meetings of 2 h in sessions of 2.5 h with ten people: compute 20 × 0.19748 = 3.9496, address
    /// 0.10, traffic (16 × 14.31 − 100) × 0.09 = 11.6064, kept 0.90; load balancer 32 × 0.0275 = 0.88 when powered down
    /// between, 730 × 0.0275 = 20.075 on standby; through the load balancer also (14.31 + 10 × 2200 × 0.00045 + 0.036)
    /// × 16 × 0.006 = 2.327616.
    #[test]
    fn a_month_of_meetings() {
        let usage = Usage {
            sessions: 8,
            session_hours: 2.5,
            meeting_hours: 2.0,
            meeting: Some(meeting(10, Codec::Vp8, View::Stage)),
            ingress: Ingress::Task,
            rest: Rest::PoweredDown,
            architecture: Architecture::X86,
            zones: 1,
        };
        near(usage.month().total, 17.436);
        near(Usage { rest: Rest::Standby, ..usage }.month().total, 36.631);
        near(Usage { ingress: Ingress::Nlb, ..usage }.month().total, 19.763_6);
    }

    /// By hand for 60 hours: 60 × 0.20248 = 12.1488, + 20.975 on standby; powered down 30 × 3 × 0.0275 = 2.475 + 0.90.
    #[test]
    fn the_seed_table_again() {
        let rows = seed_table(1, Architecture::X86);
        near(rows[0].standby, 20.975);
        near(rows[0].powered_down, 0.90);
        near(rows[2].claimed, 28.63);
        near(rows[2].standby, 33.123_8);
        near(rows[2].powered_down, 15.523_8);
        // 744 × (0.20248 + 0.0275) + 0.90, and one hour more of load balancer for a power cycle.
        near(rows[4].standby, 172.005);
        near(rows[4].powered_down, 172.032_6);
    }
}
