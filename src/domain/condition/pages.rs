//! The web container's pages are Jitsi's, and signalling answers behind them.

use std::time::Duration;

use super::judged::with;
use super::{Judged, PLAIN, Rule, Source, Verdict, View, lines};
use crate::domain::observed::Page;

const PAGE: Rule = Rule { within: Duration::from_mins(2), every: Duration::from_secs(1), ..PLAIN };

pub(super) const SERVED: Rule = Rule {
    name: "https",
    says: "the web pages are Jitsi's",
    unsays: "the web pages are not Jitsi's",
    needs: &[Source::Web],
    judge: |view| {
        with(&view.seen.web, NOBODY, |web| {
            Judged::worst([&web.index, &web.config, &web.api].map(|p| page(p, "web-not-ready", "not-jitsi")))
        })
    },
    evidence: |view| view.seen.web.present().map(|w| [&w.index, &w.config, &w.api].map(answered).join("; ")),
    advice: |_| lines(&["check that the name leads to this platform, and read the web container's log"]),
    ..PAGE
};

pub(super) const SIGNALLING: Rule = Rule {
    name: "signalling",
    says: "signalling answers",
    unsays: "signalling does not answer",
    needs: &[Source::Signalling],
    judge: signalling,
    evidence: |view| view.seen.signalling.present().map(|s| [&s.bosh, &s.websocket].map(answered).join("; ")),
    advice: |view| {
        let elsewhere = "set PUBLIC_URL (web container) to the address that people open, and start it again";
        let silent = "read the prosody container's log; ENABLE_XMPP_WEBSOCKET must be 1 for web and prosody";
        lines(&[if sends_elsewhere(view) { elsewhere } else { silent }])
    },
    ..PAGE
};

/// Whether it is `config.js` that is at fault, by where it sends browsers.
fn sends_elsewhere(view: &View<'_>) -> bool {
    let doors = view.seen.signalling.present().map(|s| [&s.bosh, &s.websocket]);
    doors.is_some_and(|doors| doors.iter().any(|page| page.wrong.is_some() && page.path.ends_with("config.js")))
}

/// Whether signalling is known not to answer: nobody can be in a meeting then.
pub fn is_shut(view: &View<'_>) -> bool {
    matches!(signalling(view).verdict, Verdict::Waits(_) | Verdict::Fails(_))
}

fn signalling(view: &View<'_>) -> Judged {
    with(&view.seen.signalling, NOBODY, |signalling| {
        let each = [&signalling.bosh, &signalling.websocket];
        Judged::worst(each.map(|p| page(p, "signalling-not-ready", "signalling-refused")))
    })
}

const NOBODY: (&str, &str) = ("no-address", "there is nothing to ask");

/// A page that a starting platform may still mend is awaited; a page that is somebody else's is a failure.
fn page(page: &Page, unready: &'static str, wrong: &'static str) -> Judged {
    match (&page.wrong, page.status) {
        (None, _) => Verdict::Holds.into(),
        (Some(why), None | Some(500..)) => Verdict::Waits(format!("{}: {why}", page.path)).code(unready),
        (Some(why), Some(_)) => Verdict::Fails(format!("{}: {why}", page.path)).code(wrong),
    }
}

fn answered(page: &Page) -> String {
    let status = page.status.map_or_else(|| "no answer".to_owned(), |s| s.to_string());
    format!("{} {status} in {} ms", page.path, page.took.as_millis())
}
