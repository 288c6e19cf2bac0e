//! The options of a load rehearsal.

use std::time::Duration;

use crate::probe::media::Load;

#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    /// Play so many people, who all speak [2 to 200]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(2..=200))]
    participants: Option<u16>,

    /// How many of them share a room [default: 2]
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u16).range(2..=50))]
    room_size: Option<u16>,

    /// How long they speak [default: 3s, or 30s with --participants]
    #[arg(long = "for", value_name = "DURATION", value_parser = lasting)]
    lasting: Option<Duration>,

    /// Give those who speak a camera as well: 600 kbit/s of video-sized packets each, which the others ask for
    #[arg(long)]
    video: bool,

    /// How much of what they say may be lost, in percent, such as `2%` [default: 20%]
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    max_loss: Option<f64>,
}

const SHORT: Duration = Duration::from_secs(3);
const LONG: Duration = Duration::from_secs(30);
/// The first half second of a stream is not counted.
const SHORTEST: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_mins(30);
const TOLERATED: f64 = 20.0;

impl Args {
    /// How long, when it was said.
    pub(super) fn lasting(&self) -> Option<Duration> {
        self.lasting
    }

    /// How much may be lost, when it was said.
    pub(super) fn max_loss(&self) -> Option<f64> {
        self.max_loss
    }

    /// How much longer a meeting takes for it.
    pub(super) fn takes(&self) -> Duration {
        const EACH: Duration = Duration::from_secs(1);
        self.load().map_or(SHORT, |load| load.lasting + EACH * u32::from(load.participants))
    }

    /// What was asked for; `None` when a meeting of two is enough.
    pub(super) fn load(&self) -> Option<Load> {
        let Self { participants, room_size, lasting, video, max_loss } = self;
        let asked = participants.is_some() || room_size.is_some() || lasting.is_some() || max_loss.is_some() || *video;
        asked.then(|| {
            let room_size = room_size.unwrap_or(2);
            Load {
                participants: participants.unwrap_or(2).max(room_size),
                room_size,
                lasting: lasting.unwrap_or(if participants.is_some() { LONG } else { SHORT }),
                video: *video,
                max_loss: max_loss.unwrap_or(TOLERATED),
            }
        })
    }
}

fn lasting(given: &str) -> Result<Duration, String> {
    let span = crate::config::span(given)?;
    if (SHORTEST..=LONGEST).contains(&span) { Ok(span) } else { Err("it must be between 2s and 30m".into()) }
}

fn percent(given: &str) -> Result<f64, String> {
    let number = given.strip_suffix('%').unwrap_or(given).trim();
    match number.parse::<f64>() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(percent),
        Ok(_) | Err(_) => Err("it is a percentage from 0% to 100%".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages() {
        for (text, number) in [("2%", 2.0), ("0", 0.0), ("0.5 %", 0.5), ("100%", 100.0)] {
            assert_eq!(percent(text), Ok(number), "{text}");
        }
        for text in ["", "%", "-1%", "101%", "two", "NaN", "inf"] {
            assert!(percent(text).is_err(), "{text}");
        }
    }

    #[test]
    fn nothing_asked_is_a_meeting_of_two() {
        let mut args = Args { participants: None, room_size: None, lasting: None, video: false, max_loss: None };
        assert_eq!(args.load(), None);
        args.room_size = Some(5);
        let load = args.load().expect("a load");
        assert_eq!((load.participants, load.room_size, load.lasting), (5, 5, SHORT));
        args.participants = Some(20);
        assert_eq!(args.load().map(|l| (l.participants, l.lasting)), Some((20, LONG)));
    }
}
