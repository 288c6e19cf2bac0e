//! What a condition is, as far as it was seen, with a code for programs.

use std::fmt;

use serde::Serialize;

use crate::domain::observed::{Reading, Unreadable};

/// What a condition is, as far as it was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", content = "why", rename_all = "snake_case")]
pub enum Verdict {
    Holds,
    /// Holds, and there is something to say about it.
    Warns(String),
    /// Does not hold yet; waiting may be enough.
    Waits(String),
    /// Does not hold, and waiting will not help.
    Fails(String),
    /// Could not be judged.
    Unseen(Unreadable),
}

/// A verdict with its code: the same in `up`, `health`, `status` and `why`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Judged {
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Why it is not simply good; `None` when it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
}

/// Names a reason for programs, in kebab-case, such as `udp-blocked`. A code never changes its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Code(pub &'static str);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Verdict {
    /// Whether it is as it should be.
    pub const fn is_good(&self) -> bool {
        matches!(self, Self::Holds | Self::Warns(_))
    }

    /// With the code of what makes it so.
    pub fn code(self, code: &'static str) -> Judged {
        Judged { verdict: self, code: Some(Code(code)) }
    }

    /// How much it matters: what fails, then what cannot be seen, then what is awaited.
    const fn rank(&self) -> u8 {
        match self {
            Self::Holds => 0,
            Self::Warns(_) => 1,
            Self::Waits(_) => 2,
            Self::Unseen(_) => 3,
            Self::Fails(_) => 4,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Holds => f.write_str("holds"),
            Self::Warns(why) | Self::Waits(why) | Self::Fails(why) => f.write_str(why),
            Self::Unseen(why) => write!(f, "unknown: {why}"),
        }
    }
}

impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.verdict.fmt(f)
    }
}

/// What could not be seen names its code itself.
impl From<Verdict> for Judged {
    fn from(verdict: Verdict) -> Self {
        let code = match &verdict {
            Verdict::Unseen(why) => Some(Code(why.because.code())),
            Verdict::Holds | Verdict::Warns(_) | Verdict::Waits(_) | Verdict::Fails(_) => None,
        };
        Self { verdict, code }
    }
}

impl From<&Unreadable> for Judged {
    fn from(why: &Unreadable) -> Self {
        Verdict::Unseen(why.clone()).into()
    }
}

impl Judged {
    pub const fn is_good(&self) -> bool {
        self.verdict.is_good()
    }

    /// The one that matters most; the first of equals.
    pub(super) fn worst(of: impl IntoIterator<Item = Self>) -> Self {
        let worse = |worst: Self, next: Self| if next.verdict.rank() > worst.verdict.rank() { next } else { worst };
        of.into_iter().fold(Verdict::Holds.into(), worse)
    }
}

/// What is there is judged; what is absent fails, in these words; what could not be read is unseen.
pub(super) fn with<T>(reading: &Reading<T>, absent: (&'static str, &str), judge: impl FnOnce(&T) -> Judged) -> Judged {
    match reading {
        Reading::Present(it) => judge(it),
        Reading::Absent => Verdict::Fails(absent.1.to_owned()).code(absent.0),
        Reading::Unreadable(why) => why.into(),
    }
}
