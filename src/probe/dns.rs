use crate::domain::observed::*;
use crate::probe::Sight;
use crate::world::Net;
use std::net::IpAddr;
pub async fn addresses(_: &dyn Net, _: &Sight, _: &str) -> Result<Vec<IpAddr>, Unreadable> {
    Ok(vec![])
}
pub async fn authorities(_: &dyn Net, _: &Sight) -> (Vec<Authority>, Option<Unreadable>) {
    (vec![], None)
}
