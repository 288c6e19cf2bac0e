use crate::{
    clock::Clock,
    domain::{name::Host, observed::*},
    world::{Net, Trust},
};
use std::net::SocketAddr;
pub async fn shake(_: &dyn Net, _: &Trust, _: &Clock, _: &Host, _: SocketAddr) -> Reading<Tls> {
    Reading::not_asked()
}
