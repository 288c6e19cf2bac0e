//! The WebSocket that browsers would open, and what it means when it is not there.

use std::net::IpAddr;

use super::ask::Ask;
use crate::domain::finding::{Code, Finding, Weight};
use crate::domain::meeting::Stage;
use crate::probe::config_js::Deployment;
use crate::probe::entrance::{self, Shut};
use crate::probe::site::Endpoint;
use crate::probe::wire::Door;

/// Where the participants open their WebSocket.
pub(super) struct Websocket {
    pub endpoint: Endpoint,
    pub addresses: Vec<IpAddr>,
    /// `config.js` names it: it is not switched off.
    named: bool,
    /// It is not on the page's own site.
    elsewhere: bool,
}

impl Websocket {
    /// Where the images serve it, for the page behind this door.
    pub(super) fn usual(door: &Door<'_>) -> Self {
        Self { endpoint: door.site.websocket(), addresses: door.addresses.to_vec(), named: false, elsewhere: false }
    }

    /// Where `config.js` sends browsers. One that names no WebSocket sends them to BOSH: then guests must get there.
    pub(super) async fn of(deployment: &Deployment, door: &Door<'_>, ask: &Ask) -> Result<Self, Finding> {
        let Some(endpoint) = &deployment.websocket else {
            if let Some(bosh) = &deployment.bosh {
                enter(bosh, door, ask).await?;
            }
            return Ok(Self::usual(door));
        };
        let addresses = enter(endpoint, door, ask).await?;
        Ok(Self { endpoint: endpoint.clone(), addresses, named: true, elsewhere: !endpoint.is_at(door.site) })
    }

    /// What it means that it could not be opened: a browser that is sent somewhere gets in there or not at all.
    pub(super) fn judged(&self, finding: Finding) -> Finding {
        let about_here = finding.stage != Stage::Connect || finding.code == Code::NoRoute;
        let code = match finding.code {
            _ if about_here || !self.named => return finding,
            Code::WebsocketOff => Code::WebsocketRefused,
            code if self.elsewhere && code.weight() == Weight::Failure => Code::WebsocketUnreachable,
            _ => return finding,
        };
        let seen = finding.detail.clone().unwrap_or_else(|| finding.code.sentence().to_owned());
        Finding { code, ..finding }.detail(format!("config.js names {}: {seen}", self.endpoint))
    }
}

async fn enter(endpoint: &Endpoint, door: &Door<'_>, ask: &Ask) -> Result<Vec<IpAddr>, Finding> {
    let finding = |code, why: String| Err(Finding::new(code).detail(format!("{endpoint}: {why}")));
    match entrance::addresses(endpoint, door, &ask.resolver).await {
        Ok(addresses) => Ok(addresses),
        Err(Shut::ToEverybody(why)) => finding(Code::WebsocketUnreachable, why),
        Err(Shut::Unseen(why)) => finding(Code::WebsocketUnresolved, why.why),
    }
}
