//! Whose credentials these are, until when, and whether what they show is this platform.

use std::time::Duration;

use jiff::Timestamp;

use super::judged::with;
use super::{Judged, PLAIN, Rule, Source, Verdict, View, lines};
use crate::domain::observed::between;
use crate::domain::ownership::{Presence, presence};
use crate::domain::plan::exists;

pub(super) const SIGNED_IN: Rule = Rule {
    name: "credentials",
    says: "the credentials are valid, and for the right account",
    unsays: "the credentials are not valid, or for another account",
    needs: &[Source::Identity],
    within: Duration::from_secs(30),
    judge: signed_in,
    evidence: |view| view.seen.identity.present().map(|i| i.arn.clone()),
    advice: |_| lines(&["sign in again: `aws sso login`, or set AWS_PROFILE to the right profile"]),
    ..PLAIN
};

pub(super) const PLATFORM_THERE: Rule = Rule {
    name: "platform",
    says: "the platform is this one",
    unsays: "there is no such platform",
    needs: &[Source::Service, Source::Tasks, Source::Balancer, Source::Secret, Source::Kept],
    within: Duration::from_secs(30),
    refusal: |view, _| exists(view).err(),
    judge: platform_there,
    evidence: |view| view.seen.service.present().map(|service| service.tags.to_string()),
    advice: |_| lines(&["check name, region and account: `meetctl config show --origin`"]),
    ..PLAIN
};

fn platform_there(view: &View<'_>) -> Judged {
    match presence(view) {
        Presence::There => Verdict::Holds.into(),
        Presence::Parts(parts) => {
            Verdict::Warns(format!("there is {}, but no service", parts.join(" and "))).code("no-service")
        }
        Presence::Removed(how) => Verdict::Warns(format!("the platform was removed: {how}")).code("removed"),
        Presence::Nowhere(nowhere) => {
            let details = nowhere.theirs.iter().chain(&nowhere.answers).map(|detail| format!("; {detail}"));
            Verdict::Fails(format!("{nowhere}{}", details.collect::<String>())).code("no-such-platform")
        }
        Presence::Unknown(why) => Verdict::Unseen(why).into(),
    }
}

fn signed_in(view: &View<'_>) -> Judged {
    let View { seen, policy, .. } = view;
    with(&seen.identity, ("no-credentials", "there are no credentials"), |identity| {
        if let Some(wanted) = policy.account.as_ref().filter(|w| **w != identity.account) {
            let found = &identity.account;
            return Verdict::Fails(format!("the credentials belong to account {found}, the platform to {wanted}"))
                .code("wrong-account");
        }
        match identity.expires {
            Some(end) if end <= seen.at => {
                Verdict::Fails(format!("the credentials ended at {}", clock_time(end))).code("credentials-expired")
            }
            Some(end) if between(seen.at, end) < policy.session => {
                Verdict::Warns(format!("the credentials end at {}, before a session that starts now", clock_time(end)))
                    .code("credentials-end-soon")
            }
            Some(_) | None => Verdict::Holds.into(),
        }
    })
}

fn clock_time(at: Timestamp) -> impl std::fmt::Display {
    at.strftime("%Y-%m-%d %H:%M UTC")
}
