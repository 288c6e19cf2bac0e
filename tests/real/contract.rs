//! The contracts of the port `Cloud`, which the sandbox keeps as well, on the AWS adapter before moto.

#[path = "../it/contract.rs"]
mod promises;

use std::net::SocketAddr;

use libtest_mimic::Trial;
use meetctl::domain::name::Names;
use meetctl::world::aws::{Aws, Settings, with_config};

use crate::aws_proxy::Proxy;
use crate::conductor::{Conductor, Timing};
use crate::moto::{Moto, configuration, seed};
use crate::needs::{Need, test};
use crate::process::{Result, block_on};

const NEEDS: &[Need] = &[Need::Moto];

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("contract::of_an_empty_account", NEEDS, of_an_empty_account),
        test("contract::of_a_platform", NEEDS, of_a_platform),
    ]
}

fn of_an_empty_account() -> Result<()> {
    let moto = Moto::start()?;
    let cloud = adapter(moto.address())?;
    block_on(async {
        promises::absent_is_none(&cloud).await;
        promises::absent_cannot_be_changed(&cloud).await;
        promises::identity_has_an_account(&cloud).await;
    })
}

fn of_a_platform() -> Result<()> {
    let moto = Moto::start()?;
    let it = block_on(seed(&moto, "rig", "meet.example.test"))??;
    let conductor = Conductor::start(&moto, &it, Timing::QUICK)?;
    let proxy = Proxy::start(moto.address(), conductor.stage())?;
    let cloud = adapter(proxy.address())?;
    block_on(async {
        promises::identity_has_an_account(&cloud).await;
        promises::groups_are_known(&cloud).await;
        promises::start_is_read_back(&cloud).await;
        promises::starts_differ(&cloud).await;
        promises::mark_is_read_back(&cloud).await;
        promises::nothing_is_unprotected(&cloud).await;
        promises::stop_is_idempotent(&cloud).await;
    })
}

fn adapter(address: SocketAddr) -> Result<Aws> {
    let settings = Settings {
        names: Names::new("rig".parse()?),
        host: "meet.example.test".parse()?,
        region: None,
        profile: None,
        mfa: false,
    };
    Ok(with_config(settings, &configuration(address)))
}
