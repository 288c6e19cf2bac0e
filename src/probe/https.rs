use crate::{
    clock::Clock,
    domain::{name::Host, observed::*},
    world::{Net, Trust},
};
use std::net::SocketAddr;
pub async fn pages(_: &dyn Net, _: &Trust, _: &Clock, _: &Host, _: SocketAddr) -> Reading<Web> {
    Reading::not_asked()
}
