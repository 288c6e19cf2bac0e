use crate::{
    clock::Clock,
    domain::{name::Host, observed::*},
    world::{Net, Trust},
};
use std::net::SocketAddr;
pub async fn preflight(_: &dyn Net, _: &Trust, _: &Clock, _: &Host, _: SocketAddr) -> Reading<Signalling> {
    Reading::not_asked()
}
