//! `meetctl man`

use super::Desk;
use crate::answer::Answer;
use crate::error::{Failure, Kind, Outcome};

/// Write the manual page to stdout
///
/// Without a subcommand: the page of `meetctl` itself.
///
/// Example: `meetctl man up | man -l -`
#[derive(clap::Args)]
pub struct Args {
    /// The subcommand whose page to write
    command: Option<String>,
}

pub(super) fn run(args: &Args, desk: &Desk) -> Result<Outcome, Failure> {
    let mut tree = desk.tree.clone();
    tree.build();
    let page = match &args.command {
        None => tree,
        Some(name) => tree.find_subcommand(name).cloned().ok_or_else(|| unknown(name))?,
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page)
        .render(&mut text)
        .map_err(|e| Failure::new(Kind::Bug, "the manual page could not be written").because(e.to_string()))?;
    desk.say.answer(Answer::Text { text: String::from_utf8_lossy(&text).into_owned() });
    Ok(Outcome::Done)
}

fn unknown(name: &str) -> Failure {
    Failure::new(Kind::Usage, format!("there is no subcommand {name:?}")).next("see them all: `meetctl --help`")
}
