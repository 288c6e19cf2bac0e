//! Browsers trust the certificate, today and for some time.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::judged::with;
use super::{Judged, PLAIN, Rule, Source, Verdict, View, lines};
use crate::domain::observed::Certificate;
use crate::domain::text::list;

/// From here on a certificate's end is a warning.
pub const CERTIFICATE_WARNING: SignedDuration = SignedDuration::from_hours(21 * 24);

pub(super) const TRUSTED: Rule = Rule {
    name: "certificate",
    says: "browsers trust the certificate",
    unsays: "browsers get no connection that they trust",
    needs: &[Source::Tls],
    within: Duration::from_mins(1),
    every: Duration::from_secs(1),
    judge,
    evidence,
    advice: |view| lines(&[next(view)]),
    ..PLAIN
};

fn next(view: &View<'_>) -> &'static str {
    match judge(view).code.map(|code| code.0) {
        Some("tls-failed") => {
            "check the load balancer's listener on this port: that it is there, its targets' health, its TLS policy"
        }
        Some("certificate-wrong-name") => "give the listener a certificate in ACM that has this name",
        Some("certificate-expired" | "certificate-expiring") => {
            "renew the certificate: ACM does it by itself while the validation records are in the zone and it is in use"
        }
        Some("certificate-not-yet-valid") => {
            "check this machine's clock; if it is right, wait or take another certificate"
        }
        Some("certificate-untrusted") => {
            "give the listener a certificate of ACM or of another authority that browsers know, with its whole chain"
        }
        Some("private-root") => {
            "give the listener a certificate that browsers trust, or install the root where people meet from"
        }
        _ => {
            "check the certificate of the load balancer's listener in ACM: its names, its dates, its validation records"
        }
    }
}

fn judge(view: &View<'_>) -> Judged {
    with(&view.seen.tls, ("no-address", "there is nothing to shake hands with"), |tls| match &tls.shown {
        Err(how) => Verdict::Waits(format!("no TLS at {}: {how}", tls.address)).code("tls-failed"),
        Ok(certificate) => trusted(certificate, view.seen.at),
    })
}

fn evidence(view: &View<'_>) -> Option<String> {
    let tls = view.seen.tls.present()?;
    let c = tls.shown.as_ref().ok()?;
    let (until, took) = (c.not_after.strftime("%Y-%m-%d"), tls.took.as_millis());
    Some(format!("until {until}, {}, by {}, {took} ms", c.version, c.issuer))
}

fn trusted(certificate: &Certificate, now: Timestamp) -> Judged {
    let left = certificate.not_after.duration_since(now);
    let day = |t: Timestamp| t.strftime("%Y-%m-%d %H:%M UTC");
    if left.is_negative() {
        Verdict::Fails(format!("the certificate expired on {}", day(certificate.not_after))).code("certificate-expired")
    } else if certificate.not_before > now {
        Verdict::Fails(format!("the certificate is not valid before {}", day(certificate.not_before)))
            .code("certificate-not-yet-valid")
    } else if !certificate.name_matches {
        Verdict::Fails(format!("the certificate is for {}", list(&certificate.names, ", ")))
            .code("certificate-wrong-name")
    } else if let Some(why) = &certificate.untrusted {
        Verdict::Fails(format!("browsers do not trust the certificate of {}: {why}", certificate.issuer))
            .code("certificate-untrusted")
    } else if left < CERTIFICATE_WARNING {
        let (end, days) = (day(certificate.not_after), left.as_hours() / 24);
        Verdict::Warns(format!("the certificate ends on {end}, in {days} days")).code("certificate-expiring")
    } else if certificate.private_root {
        Verdict::Warns("trusted only through the private root of [tls] ca_file: browsers without it refuse".into())
            .code("private-root")
    } else {
        Verdict::Holds.into()
    }
}
