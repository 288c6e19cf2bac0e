//! `meetctl man`

use super::{Context, Subcommand};
use crate::answer::Answer;
use crate::error::{Failure, Kind, Outcome};
use crate::outside::Desk;

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

impl Subcommand for Args {
    const NAME: &'static str = "man";
    type Place = Desk;

    async fn run(&self, desk: &Context<Desk>) -> Result<Outcome, Failure> {
        let mut tree = desk.at.tree.clone();
        tree.build();
        let page = match &self.command {
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
}

fn unknown(name: &str) -> Failure {
    Failure::new(Kind::Usage, format!("there is no subcommand {name:?}")).next("see them all: `meetctl --help`")
}
