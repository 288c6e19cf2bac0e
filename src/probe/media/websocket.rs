//! The WebSocket that browsers would open, and what it means when it is not there.

use std::net::IpAddr;

use super::ask::Ask;
use crate::domain::finding::{Code, Finding, Weight};
use crate::domain::meeting::Stage;
use crate::probe::config_js::Deployment;
use crate::probe::entrance::{Entrance, Shut};
use crate::world::Net;

/// Where the participants open their WebSocket.
pub(super) struct Websocket {
    pub entrance: Entrance,
    pub addresses: Vec<IpAddr>,
    /// `config.js` names it: it is not switched off.
    named: bool,
    /// It is not on the page's own site.
    elsewhere: bool,
}

impl Websocket {
    /// Where the images serve it, for a page at these addresses.
    pub(super) fn usual(ask: &Ask, page: &[IpAddr]) -> Self {
        let entrance = Entrance::usual(&ask.host, ask.https_port);
        Self { entrance, addresses: page.to_vec(), named: false, elsewhere: false }
    }

    /// Where `config.js` sends browsers. One that names no WebSocket sends them to BOSH: then guests must get there.
    pub(super) async fn of(
        net: &dyn Net,
        ask: &Ask,
        deployment: &Deployment,
        page: &[IpAddr],
    ) -> Result<Self, Finding> {
        let Some(given) = &deployment.websocket else {
            if let Some(bosh) = &deployment.bosh {
                enter(net, ask, bosh, page).await?;
            }
            return Ok(Self::usual(ask, page));
        };
        let (entrance, addresses) = enter(net, ask, given, page).await?;
        let elsewhere = !entrance.is_at(&ask.host, ask.https_port);
        Ok(Self { entrance, addresses, named: true, elsewhere })
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
        Finding { code, ..finding }.detail(format!("config.js names {}: {seen}", self.entrance))
    }
}

async fn enter(net: &dyn Net, ask: &Ask, given: &str, page: &[IpAddr]) -> Result<(Entrance, Vec<IpAddr>), Finding> {
    let finding = |code, why: String| Finding::new(code).detail(why);
    let entrance = Entrance::read(given, &ask.host, ask.https_port)
        .map_err(|why| finding(Code::WebsocketUnreachable, format!("config.js: {why}")))?;
    match entrance.addresses(net, &ask.resolver, &ask.host, page).await {
        Ok(addresses) => Ok((entrance, addresses)),
        Err(Shut::ToEverybody(why)) => Err(finding(Code::WebsocketUnreachable, format!("{entrance}: {why}"))),
        Err(Shut::Unseen(why)) => Err(finding(Code::WebsocketUnresolved, format!("{entrance}: {}", why.why))),
    }
}
