//! `meetctl completions`

use clap_complete::Shell;

use super::Desk;
use crate::answer::Answer;
use crate::error::Outcome;

/// Write completions for a shell to stdout
///
/// Example: `meetctl completions bash > ~/.local/share/bash-completion/completions/meetctl`
#[derive(clap::Args)]
pub struct Args {
    shell: Shell,
}

pub(super) fn run(args: &Args, desk: &Desk) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut desk.tree.clone(), "meetctl", &mut script);
    desk.say.answer(Answer::Text { text: String::from_utf8_lossy(&script).into_owned() });
    Outcome::Done
}
