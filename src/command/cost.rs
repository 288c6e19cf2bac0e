//! `cost`: what levels, months and meetings cost.

use super::{Context, Subcommand};
use crate::answer::{Answer, Costs};
use crate::domain::estimate::{Codec, Ingress, Meeting, Rest, Usage, View, levels, seed_table};
use crate::domain::observed::Architecture;
use crate::domain::price::RATES;
use crate::error::{Failure, Outcome};
use crate::outside::Desk;

/// Estimate what levels, months and meetings cost
///
/// Prints what each level costs while it lasts, the table that the project began with next to what such months really
/// cost, and one month of meetings with their traffic. Nothing is asked of AWS: the rates are a dated table. Traffic is
/// an upper bound, with every camera on.
///
/// Example: `meetctl cost --participants 10 --hours 2 --meetings 8`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How many people meet
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=500))]
    participants: u32,

    /// How many hours each meeting lasts
    #[arg(long, default_value_t = 2.0, value_name = "HOURS", value_parser = hours)]
    hours: f64,

    /// How many meetings there are in a month
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1000))]
    meetings: u32,

    /// How pictures are coded: vp8, vp9, av1 or h264
    #[arg(long, default_value = "vp8")]
    codec: Codec,

    /// How people look at each other: stage (one large) or tile (all alike)
    #[arg(long, default_value = "stage")]
    view: View,

    /// How media comes in: nlb (through the load balancer) or task (straight to the task)
    #[arg(long, default_value = "nlb")]
    ingress: Ingress,

    /// Where the platform rests between meetings: standby or powered-down
    #[arg(long, default_value = "powered-down", value_name = "LEVEL")]
    rest: Rest,

    /// The task's processor: x86 or arm
    #[arg(long, default_value = "x86", value_name = "PROCESSOR", value_parser = architecture)]
    arch: Architecture,

    /// In how many zones the load balancer has an address
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=2))]
    zones: u32,
}

/// What a session takes besides the meeting: starting, the people who come early, and noticing that all have left.
const AROUND: f64 = 0.5;

impl Subcommand for Args {
    const NAME: &'static str = "cost";
    type Place = Desk;

    async fn run(&self, desk: &Context<Desk>) -> Result<Outcome, Failure> {
        let usage = Usage {
            sessions: self.meetings,
            session_hours: self.hours + AROUND,
            meeting_hours: self.hours,
            meeting: Some(Meeting { participants: self.participants, codec: self.codec, view: self.view }),
            ingress: self.ingress,
            rest: self.rest,
            architecture: self.arch,
            zones: self.zones,
        };
        desk.say.answer(Answer::Costs(Costs {
            rates: RATES,
            levels: levels(self.zones, self.arch).into(),
            seed: seed_table(self.zones, self.arch).into(),
            usage,
            month: usage.month(),
            not_counted: "recordings, logs, taxes, and what else the account uses of its free traffic",
        }));
        Ok(Outcome::Done)
    }
}

fn hours(given: &str) -> Result<f64, String> {
    let hours: f64 = given.parse().map_err(|_| format!("{given:?} is not a number of hours"))?;
    if (0.0..=744.0).contains(&hours) { Ok(hours) } else { Err("a month has 0 to 744 hours".into()) }
}

fn architecture(given: &str) -> Result<Architecture, String> {
    match given {
        "x86" => Ok(Architecture::X86),
        "arm" => Ok(Architecture::Arm),
        _ => Err(format!("{given:?} is neither x86 nor arm")),
    }
}
