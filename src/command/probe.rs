//! `probe`: prove that a meeting works on any Jitsi deployment, with nothing but its address.

use std::net::IpAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use super::{Context, Subcommand, load};
use crate::answer::{Answer, Probe};
use crate::config::token;
use crate::domain::finding::{Code, Weight};
use crate::domain::meeting::{Finding, Proof, Stage};
use crate::domain::ramp::Step;
use crate::error::{Failure, Kind, Outcome};
use crate::event::Events;
use crate::probe::media::{Ask, climb, prove};
use crate::probe::meeting::Policy;
use crate::probe::site::{BadSite, Site};
use crate::probe::wire::Wire;
use crate::world::Street;

/// Prove that a meeting works on any Jitsi deployment
///
/// Two synthetic participants join a throw-away room and hear each other's packets cross the bridge. Needs nothing but
/// the address: no configuration, no AWS account. Says how far they came: signalling, L1 (packets reach the bridge on
/// UDP), L2 (ICE and DTLS), L3 (the bridge forwards), each with its figures. They leave the room on every way out,
/// Ctrl-C included.
///
/// Exit code 0 when a meeting works, 8 when it does not, 9 when it cannot be told: the deployment wants a login that the
/// probe does not have, or this machine has no network.
///
/// A deployment with tokens: put one into a file (--token-file) or into `MEETCTL_PROBE_TOKEN`.
///
/// With --ramp rooms are added until loss or delay shows: exit code 0 when that was not with the first rooms.
///
/// Example: `meetctl probe https://meet.example.org --participants 20 --for 60s --max-loss 2%`
///
/// Example: `meetctl probe https://meet.example.org --participants 200 --room-size 5 --ramp --video`
#[derive(Debug, clap::Args)]
#[expect(clippy::doc_markdown, reason = "the comments are help texts, in clap's own style")]
pub struct Args {
    /// Where people meet: https://HOST, https://HOST:PORT, or https://HOST/FOLDER/
    url: String,

    /// A file that holds the token to show [env: MEETCTL_PROBE_TOKEN, MEETCTL_PROBE_TOKEN_FILE]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// Which of the bridge's addresses to try: `public`, `all` (private ones too), or `ip=ADDRESS[,ADDRESS]`
    #[arg(long, value_name = "WHICH", default_value = "public", value_parser = candidates)]
    candidates: Policy,

    /// Add rooms, up to --participants, until loss or delay shows, and say how far it was good
    ///
    /// Everybody keeps talking while the next rooms are added. Each step is watched for five seconds, or for --for.
    #[arg(long, requires = "participants")]
    ramp: bool,

    #[command(flatten)]
    load: load::Args,
}

/// How long a step of a ramp is watched.
const STEP: Duration = Duration::from_secs(5);
/// How much may be lost in it, in percent.
const RAMP_LOSS: f64 = 2.0;
/// How long a ramp may take.
const RAMP_LIMIT: Duration = Duration::from_mins(10);

impl Subcommand for Args {
    const NAME: &'static str = "probe";
    type Place = Street;
    const ONLY_LOOKS: bool = true;

    fn limit(&self) -> Option<Duration> {
        Some(if self.ramp { RAMP_LIMIT } else { LIMIT + self.load.takes() })
    }

    async fn run(&self, visit: &Context<Street>) -> Result<Outcome, Failure> {
        let site = Site::read(&self.url).map_err(no_site)?;
        let ask = self.ask(site, visit)?;
        visit.say.awaited().first_answer(ask.site.to_string());
        let wire = Wire::from(&visit.at);
        let proving: Pin<Box<dyn Future<Output = Proof> + Send>> = if self.ramp {
            let tell = |step: &Step| {
                visit
                    .say
                    .awaited()
                    .next(format!("what the bridge does with more than {} participants", step.participants));
                visit.say.note(format!("{} participants: {}", step.participants, step.figures()));
            };
            Box::pin(climb(&wire, &ask, &visit.stop, tell))
        } else {
            Box::pin(prove(&wire, &ask, &visit.stop, |stage| tell(&visit.say, stage, &ask)))
        };
        conclude(proving.await, &ask.site, visit)
    }
}

fn no_site(why: BadSite) -> Failure {
    let failure = Failure::new(Kind::Usage, "that is not the address of a Jitsi deployment")
        .because(why.to_string())
        .next("write it like https://meet.example.org, or https://meet.example.org:8443");
    match why {
        BadSite::Token => failure.next("put the token into a file, and name it with --token-file"),
        _ => failure,
    }
}

fn conclude(proof: Proof, site: &Site, visit: &Context<Street>) -> Result<Outcome, Failure> {
    if let Some(finding) = proof.finding.as_ref().filter(|finding| finding.code == Code::Interrupted) {
        if let Some(ramp) = &proof.ramp {
            // A ramp that was not played to its end has shown something all the same.
            return Err(Failure::new(Kind::Interrupted, "interrupted before the ramp was over")
                .because(format!("{}; all rooms have been left", ramp.sentence()))
                .next("run it again with a longer `--timeout`, a shorter `--for` or fewer `--participants`"));
        }
        return Err(Failure::new(Kind::Interrupted, "interrupted before a meeting was proven")
            .because(format!("it had come as far as {}; the room has been left", finding.stage.name()))
            .next("run the same command again; nothing was changed"));
    }
    let outcome = match proof.finding.as_ref().map(Finding::weight) {
        None | Some(Weight::Warning) => Outcome::Done,
        Some(Weight::NotApplicable) => Outcome::CannotTell,
        Some(Weight::Failure) => Outcome::Unhealthy,
    };
    visit.say.answer(Answer::Probe(Probe::of(site.to_string(), proof)));
    Ok(outcome)
}

/// To find the deployment, enter a room and connect.
const LIMIT: Duration = Duration::from_mins(1);

impl Args {
    fn ask(&self, site: Site, visit: &Context<Street>) -> Result<Ask, Failure> {
        let token = token(self.token_file.as_deref(), &visit.environment)?;
        let ask = Ask { token, candidates: self.candidates.clone(), ..Ask::new(site) };
        let mut ask = match self.load.load() {
            Some(load) => ask.under(&load),
            None => ask,
        };
        if self.ramp {
            ask.limits.speaking = self.load.lasting().unwrap_or(STEP);
            ask.thresholds.loss_failure = self.load.max_loss().unwrap_or(RAMP_LOSS);
        }
        Ok(ask)
    }
}

/// Says how far everybody has come, where people wait for it.
fn tell(say: &Events, stage: Stage, ask: &Ask) {
    say.awaited().next(format!("a proof of a meeting, which has come as far as {}", stage.name()));
    let all = ask.seats();
    let news = match stage {
        Stage::Join => format!("{all} participants have joined"),
        Stage::Reach => "the bridge answers on UDP".into(),
        Stage::Secure => {
            format!("{all} participants are connected to the bridge; speaking for {} s", ask.limits.speaking.as_secs())
        }
        Stage::Connect
        | Stage::Login
        | Stage::Request
        | Stage::Invite
        | Stage::Accept
        | Stage::Channel
        | Stage::Media
        | Stage::Leave => return,
    };
    say.note(news);
}

fn candidates(given: &str) -> Result<Policy, String> {
    match given {
        "public" => Ok(Policy::Public),
        "all" => Ok(Policy::All),
        _ => {
            let list = given.strip_prefix("ip=").ok_or("it is `public`, `all` or `ip=ADDRESS[,ADDRESS]`")?;
            let addresses: Result<Vec<IpAddr>, _> = list.split(',').map(|one| one.trim().parse::<IpAddr>()).collect();
            addresses.map(Policy::Only).map_err(|_| "after `ip=` come IP addresses, separated by commas".into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_to_try() {
        assert_eq!(candidates("public"), Ok(Policy::Public));
        assert_eq!(candidates("all"), Ok(Policy::All));
        let two = ["203.0.113.10", "2001:db8::1"].map(|a| a.parse().expect("an address")).to_vec();
        assert_eq!(candidates("ip=203.0.113.10, 2001:db8::1"), Ok(Policy::Only(two)));
        for wrong in ["", "private", "ip=", "ip=nowhere", "203.0.113.10"] {
            assert!(candidates(wrong).is_err(), "{wrong}");
        }
    }
}
