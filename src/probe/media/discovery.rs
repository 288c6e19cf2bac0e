//! The deployment's own words about its names: its `config.js`.

use crate::domain::finding::{Code, Finding};
use crate::probe::config_js::{self, BadConfig, Deployment};
use crate::probe::https::{NoPage, get, not_script};
use crate::probe::wire::{Door, NoTls};

/// Fetches and reads `config.js`.
pub async fn discover(door: &Door<'_>) -> Result<Deployment, Finding> {
    let answer = get(door, &door.site.page("config.js")).await.map_err(Finding::from)?;
    match not_script(&answer) {
        Some(why) => Err(Finding::new(Code::ConfigUnreadable).detail(why)),
        None => config_js::read(&answer.script(), door.site).map_err(Finding::from),
    }
}

impl From<BadConfig> for Finding {
    fn from(error: BadConfig) -> Self {
        let code = match &error {
            BadConfig::NotAnAddress { .. } => Code::WebsocketUnreachable,
            _ if error.is_undecided() => Code::ConfigUndecided,
            _ => Code::ConfigUnreadable,
        };
        Self::new(code).detail(error.to_string())
    }
}

impl From<NoPage> for Finding {
    fn from(error: NoPage) -> Self {
        match error {
            NoPage::NoTls(error) => error.into(),
            NoPage::Blind(why) => Self::new(Code::ConfigUndecided).detail(why.why),
            NoPage::Barred(why) => Self::new(Code::PageBarred).detail(why),
            NoPage::Wrong { why, .. } => Self::new(Code::ConfigUnreadable).detail(why),
        }
    }
}

impl From<NoTls> for Finding {
    fn from(error: NoTls) -> Self {
        match error {
            NoTls::Blind(why) => Self::new(Code::NoRoute).detail(why.why),
            NoTls::Tcp(Some(address), how) => Self::new(Code::WebUnreachable).detail(format!("{address}: {how}")),
            NoTls::Tcp(None, how) => Self::new(Code::NameUnresolved).detail(how),
            NoTls::Handshake(how) => Self::new(Code::TlsFailed).detail(how),
        }
    }
}
