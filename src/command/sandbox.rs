//! `meetctl sandbox`

use std::time::Duration;

use super::{Context, Subcommand};
use crate::answer::{Answer, Story};
use crate::error::{Failure, Outcome};
use crate::outside;
use crate::outside::Desk;
use crate::world::sandbox;

/// List the stories of the sandbox, or set one back to its beginning
///
/// The sandbox is a platform in memory, with simulated time. What it has come to is kept until the next command.
/// Any other command plays in it with `--sandbox`, or `--sandbox=STORY` to begin a certain story.
///
/// Example: `meetctl --sandbox=expired-certificate health`
#[derive(clap::Args)]
pub struct Args {
    /// Set this story back to its beginning
    #[arg(long, value_name = "STORY")]
    reset: Option<String>,
}

impl Subcommand for Args {
    const NAME: &'static str = "sandbox";
    type Place = Desk;

    async fn run(&self, desk: &Context<Desk>) -> Result<Outcome, Failure> {
        match &self.reset {
            None => desk.say.answer(Answer::Stories { stories: stories() }),
            Some(story) => {
                reset(story, desk)?;
                desk.say.note(format!("the sandbox is at the beginning of the story `{story}`"));
            }
        }
        Ok(Outcome::Done)
    }
}

/// How long to wait for whoever plays the story.
const PATIENCE: Duration = Duration::from_secs(15);

fn stories() -> Vec<Story> {
    sandbox::Story::all().map(|story| Story { name: story.name, about: story.about }).collect()
}

fn reset(name: &str, desk: &Context<Desk>) -> Result<(), Failure> {
    let story = outside::story(name)?;
    let kept = outside::store(&desk.environment)?;
    // Whoever plays it would keep it again afterwards.
    let _held = kept.lock(story, desk.options.timeout.unwrap_or(PATIENCE))?;
    Ok(kept.forget(story)?)
}
