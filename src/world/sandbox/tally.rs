//! Counts the calls to the outside, and can let one of them fail.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;

use crate::domain::billed::Billed;
use crate::domain::changes::Wanted;
use crate::domain::name::{DeploymentId, Host, PlatformName, TargetGroupArn, TaskId};
use crate::domain::observed::{Balancer, Identity, Mark, Occupancy, Record, Secret, Service, Target, Task};
use crate::world::{
    Cloud, CloudError, CloudErrorKind, Datagrams, Duplex, Errand, Kept, Net, NetError, Outputs, Planned, Terraform,
    TerraformError, World,
};

/// What was called, and how often.
#[derive(Clone, Default)]
pub struct Tally {
    counts: Arc<Mutex<Counts>>,
}

#[derive(Default)]
struct Counts {
    total: u64,
    by_method: BTreeMap<&'static str, u64>,
}

impl Tally {
    /// All calls of both ports, however they ended.
    pub fn total(&self) -> u64 {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).total
    }

    /// How often each method was called, such as `cloud.service` or `net.tcp`.
    pub fn calls(&self) -> BTreeMap<&'static str, u64> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).by_method.clone()
    }

    /// How many calls went to AWS.
    pub fn to_the_cloud(&self) -> u64 {
        self.calls().iter().filter(|(method, _)| method.starts_with("cloud.")).map(|(_, n)| n).sum()
    }

    /// Counts a call, and tells its number, from 1.
    fn count(&self, method: &'static str) -> u64 {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.by_method.entry(method).or_default() += 1;
        counts.total += 1;
        counts.total
    }
}

/// The same world with its calls counted; the `fail_nth` of them, from 1, fails, whichever port it is on.
pub fn tallied(world: World, fail_nth: Option<u64>) -> (World, Tally) {
    let tally = Tally::default();
    let World { cloud, terraform, net, clock, trust, seed, look } = world;
    let cloud = Box::new(Failing { inner: cloud, tally: tally.clone(), fail_nth });
    let terraform = Box::new(Failing { inner: terraform, tally: tally.clone(), fail_nth });
    let net = Box::new(Failing { inner: net, tally: tally.clone(), fail_nth });
    (World { cloud, terraform, net, clock, trust, seed, look }, tally)
}

/// A port of which one call fails.
struct Failing<P> {
    inner: P,
    tally: Tally,
    fail_nth: Option<u64>,
}

impl<P> Failing<P> {
    fn fails(&self, method: &'static str) -> bool {
        let number = self.tally.count(method);
        self.fail_nth == Some(number)
    }

    fn cloud(&self, method: &'static str) -> Result<(), CloudError> {
        if self.fails(method) {
            let why = "the connection was lost".to_owned();
            return Err(CloudError { kind: CloudErrorKind::Unreachable, what: method.to_owned(), why });
        }
        Ok(())
    }

    fn terraform(&self, method: &'static str) -> Result<(), TerraformError> {
        if self.fails(method) {
            let detail = "the connection was lost".to_owned();
            return Err(TerraformError::Other { summary: method.to_owned(), detail, address: None });
        }
        Ok(())
    }

    fn net(&self, method: &'static str) -> Result<(), NetError> {
        if self.fails(method) { Err(NetError::Reset) } else { Ok(()) }
    }
}

#[async_trait]
impl Cloud for Failing<Box<dyn Cloud>> {
    async fn identity(&self) -> Result<Identity, CloudError> {
        self.cloud("cloud.identity")?;
        self.inner.identity().await
    }

    async fn service(&self) -> Result<Option<Service>, CloudError> {
        self.cloud("cloud.service")?;
        self.inner.service().await
    }

    async fn tasks(&self) -> Result<Vec<Task>, CloudError> {
        self.cloud("cloud.tasks")?;
        self.inner.tasks().await
    }

    async fn balancer(&self) -> Result<Option<Balancer>, CloudError> {
        self.cloud("cloud.balancer")?;
        self.inner.balancer().await
    }

    async fn targets(&self, group: &TargetGroupArn) -> Result<Option<Vec<Target>>, CloudError> {
        self.cloud("cloud.targets")?;
        self.inner.targets(group).await
    }

    async fn record(&self) -> Result<Option<Record>, CloudError> {
        self.cloud("cloud.record")?;
        self.inner.record().await
    }

    async fn secret(&self) -> Result<Option<Secret>, CloudError> {
        self.cloud("cloud.secret")?;
        self.inner.secret().await
    }

    async fn occupancy(&self, since: Timestamp) -> Result<Option<Occupancy>, CloudError> {
        self.cloud("cloud.occupancy")?;
        self.inner.occupancy(since).await
    }

    async fn log_tail(&self, task: &TaskId, container: &str, lines: u16) -> Result<Option<Vec<String>>, CloudError> {
        self.cloud("cloud.log_tail")?;
        self.inner.log_tail(task, container, lines).await
    }

    async fn start(&self) -> Result<DeploymentId, CloudError> {
        self.cloud("cloud.start")?;
        self.inner.start().await
    }

    async fn stop(&self) -> Result<(), CloudError> {
        self.cloud("cloud.stop")?;
        self.inner.stop().await
    }

    async fn mark(&self, mark: &Mark) -> Result<(), CloudError> {
        self.cloud("cloud.mark")?;
        self.inner.mark(mark).await
    }

    async fn billed(&self) -> Result<Vec<Billed>, CloudError> {
        self.cloud("cloud.billed")?;
        self.inner.billed().await
    }

    async fn kept(&self) -> Result<Kept, CloudError> {
        self.cloud("cloud.kept")?;
        self.inner.kept().await
    }

    async fn remove_balancer(&self, arn: &str) -> Result<(), CloudError> {
        self.cloud("cloud.remove_balancer")?;
        self.inner.remove_balancer(arn).await
    }

    async fn unprotect(&self, tasks: &[TaskId]) -> Result<(), CloudError> {
        self.cloud("cloud.unprotect")?;
        self.inner.unprotect(tasks).await
    }
}

#[async_trait]
impl Terraform for Failing<Box<dyn Terraform>> {
    fn platform(&self) -> &PlatformName {
        self.inner.platform()
    }

    async fn plan(&self, wanted: Wanted, errand: Errand<'_>) -> Result<Planned, TerraformError> {
        self.terraform("terraform.plan")?;
        self.inner.plan(wanted, errand).await
    }

    async fn apply(&self, planned: Planned, errand: Errand<'_>) -> Result<(), TerraformError> {
        self.terraform("terraform.apply")?;
        self.inner.apply(planned, errand).await
    }

    async fn managed(&self, errand: Errand<'_>) -> Result<Option<Vec<String>>, TerraformError> {
        self.terraform("terraform.managed")?;
        self.inner.managed(errand).await
    }

    async fn outputs(&self, errand: Errand<'_>) -> Result<Option<Outputs>, TerraformError> {
        self.terraform("terraform.outputs")?;
        self.inner.outputs(errand).await
    }
}

#[async_trait]
impl Net for Failing<Box<dyn Net>> {
    async fn resolve(&self, host: &Host) -> Result<Vec<IpAddr>, NetError> {
        self.net("net.resolve")?;
        self.inner.resolve(host).await
    }

    fn name_servers(&self) -> Vec<SocketAddr> {
        self.inner.name_servers()
    }

    async fn tcp(&self, to: SocketAddr) -> Result<Box<dyn Duplex>, NetError> {
        self.net("net.tcp")?;
        self.inner.tcp(to).await
    }

    async fn udp(&self, toward: IpAddr) -> Result<Box<dyn Datagrams>, NetError> {
        self.net("net.udp")?;
        self.inner.udp(toward).await
    }
}
