//! `meetctl completions`

use clap_complete::Shell;

use super::{Context, Subcommand};
use crate::answer::Answer;
use crate::error::{Failure, Outcome};
use crate::outside::Desk;

/// Write completions for a shell to stdout
///
/// Example: `meetctl completions bash > ~/.local/share/bash-completion/completions/meetctl`
#[derive(clap::Args)]
pub struct Args {
    shell: Shell,
}

impl Subcommand for Args {
    const NAME: &'static str = "completions";
    type Place = Desk;

    async fn run(&self, desk: &Context<Desk>) -> Result<Outcome, Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut desk.at.tree.clone(), "meetctl", &mut script);
        desk.say.answer(Answer::Text { text: String::from_utf8_lossy(&script).into_owned() });
        Ok(Outcome::Done)
    }
}
