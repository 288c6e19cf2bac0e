//! One condition as an answer: its verdict, what it was judged from, and what to do.

use crate::answer::Judged;
use crate::domain::condition::{Condition, Verdict};
use crate::domain::observed::Observed;
use crate::domain::plan::Policy;
use crate::error::advice;

/// Judges one condition.
pub fn judge(condition: Condition, seen: &Observed, policy: &Policy) -> Judged {
    let verdict = condition.judge(seen, policy);
    let next = match &verdict {
        Verdict::Holds | Verdict::Warns(_) => Vec::new(),
        Verdict::Waits(_) | Verdict::Fails(_) => condition.next(seen),
        Verdict::Unseen(unseen) => vec![advice(unseen.because).to_owned()],
    };
    Judged { condition, sentence: condition.to_string(), verdict, evidence: condition.evidence(seen), next }
}
