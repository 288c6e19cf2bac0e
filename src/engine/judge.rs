//! One condition as an answer: its verdict, what it was judged from, and what to do.

use crate::answer::JudgedCondition;
use crate::domain::condition::{Condition, Judged, Verdict};
use crate::domain::view::View;
use crate::error::advice;

/// Judges one condition.
pub fn judge(condition: Condition, view: &View<'_>) -> JudgedCondition {
    let Judged { verdict, code } = condition.judge(view);
    let next = match &verdict {
        Verdict::Holds | Verdict::Warns(_) => Vec::new(),
        Verdict::Waits(_) | Verdict::Fails(_) => condition.advice(view),
        Verdict::Unseen(unseen) => vec![advice(unseen.because).to_owned()],
    };
    JudgedCondition {
        condition,
        sentence: condition.to_string(),
        verdict,
        code,
        evidence: condition.evidence(view),
        next,
    }
}
