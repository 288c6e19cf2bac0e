//! Questions, asked before the loop starts.

use super::Context;
use crate::error::{Failure, Kind};
use crate::event::Event;

/// Asks before something that costs money or takes something away. `deed` is an imperative, such as `power down`.
pub(super) async fn agree(cx: &Context, deed: &str, question: &str) -> Result<(), Failure> {
    if cx.yes {
        return Ok(());
    }
    if !cx.interactive {
        return Err(nobody(deed).next(format!("say that you mean it: `meetctl {deed} --yes`")));
    }
    let answer = answer(cx, format!("{question} [y/N]")).await?;
    if is_yes(&answer) { Ok(()) } else { Err(declined()) }
}

/// Asks to type the platform's name. `--yes` is not enough for what cannot be undone.
pub(super) async fn type_name(cx: &Context, confirmed: Option<&str>, question: &str) -> Result<(), Failure> {
    let name = cx.config.name.as_str();
    match confirmed {
        Some(given) if given == name => return Ok(()),
        Some(given) => {
            return Err(Failure::new(Kind::Refused, "the name that confirms is not the platform's")
                .because(format!("--confirm says {given:?}, the platform is {name:?}"))
                .next("check which platform this is: `meetctl config show --origin`"));
        }
        None => {}
    }
    if !cx.interactive {
        return Err(nobody("destroy").next(format!("say that you mean it: `meetctl destroy --confirm {name}`")));
    }
    let answer = answer(cx, format!("{question}\nType the platform's name, {name}, to go on:")).await?;
    if answer.trim() == name { Ok(()) } else { Err(declined()) }
}

/// One line from the terminal; the work can be stopped meanwhile.
async fn answer(cx: &Context, question: String) -> Result<String, Failure> {
    cx.say.emit(Event::Question { question });
    let line = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map(|_| line)
    });
    tokio::select! {
        line = line => match line {
            Ok(Ok(line)) => Ok(line),
            Ok(Err(_)) | Err(_) => Err(declined()),
        },
        () = cx.stop.cancelled() => Err(Failure::new(Kind::Interrupted, "stopped at the question").next("nothing was changed")),
    }
}

fn is_yes(answer: &str) -> bool {
    ["y", "yes"].contains(&answer.trim().to_lowercase().as_str())
}

fn nobody(deed: &str) -> Failure {
    Failure::new(Kind::Refused, format!("`meetctl {deed}` asks before it acts, and nobody is there to answer"))
        .because("there is no terminal, or --no-input was given")
}

fn declined() -> Failure {
    Failure::new(Kind::Refused, "not agreed to")
        .next("nothing was changed; run the same command again to be asked again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_yes() {
        for yes in ["y\n", "Yes\n", " YES "] {
            assert!(is_yes(yes), "{yes:?}");
        }
        for no in ["", "\n", "n\n", "yep", "yes please", "no"] {
            assert!(!is_yes(no), "{no:?}");
        }
    }
}
