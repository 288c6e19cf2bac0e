//! From the world to an observation: all independent looks at once, each with its own limit.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::SignedDuration;
use tokio::join;
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::reach::Job;
use crate::domain::billed::Billed;
use crate::domain::condition::{Condition, Source, Verdict};
use crate::domain::meeting::Proof;
use crate::domain::observed::{
    Attachment, Balancer, Blindness, Health, Identity, Observed, Occupancy, Reading, Record, Resolution, Secret,
    Service, Signalling, Target, TargetGroup, Task, Tls, Unreadable, Web,
};
use crate::domain::ownership::vpc;
use crate::domain::plan::{Policy, STALE};
use crate::error::{Failure, Kind, advice};
use crate::probe::entrance::Resolver;
use crate::probe::media::{Ask, prove};
use crate::probe::wire::{Certificates, Door, Wire};
use crate::probe::{self, Sight};
use crate::world::{CloudError, Errand, Kept, World};

/// Where to look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look(BTreeSet<Source>);

impl Look {
    /// All but the media proof, which takes seconds and enters a room, and Terraform's state.
    pub fn everything() -> Self {
        use Source::*;
        Self(
            [Identity, Service, Tasks, Balancer, Targets, Record, Secret, Occupancy, Names, Tls, Web, Signalling, Kept]
                .into(),
        )
    }

    /// Everything, and what else costs.
    pub fn with_billed() -> Self {
        let Self(mut sources) = Self::everything();
        sources.insert(Source::Billed);
        Self(sources)
    }

    /// Everything, and the media proof where it is wanted.
    pub fn at_all(policy: &Policy) -> Self {
        let mut look = Self::everything();
        if policy.media {
            look.0.insert(Source::Media);
        }
        look
    }

    /// Everything that is cheap to look at, and what else these conditions need; the media proof is looked at alone.
    pub fn everything_for(conditions: &[Condition]) -> Self {
        let Self(mut sources) = Self::everything();
        sources.extend(conditions.iter().flat_map(|c| c.needs()).filter(|s| **s != Source::Media));
        Self(sources)
    }

    /// What is needed to judge these conditions.
    pub fn at<'c>(conditions: impl IntoIterator<Item = &'c Condition>) -> Self {
        Self(conditions.into_iter().flat_map(|c| c.needs()).copied().collect())
    }

    fn has(&self, source: Source) -> bool {
        self.0.contains(&source)
    }
}

const CALLER: &str = "sts:GetCallerIdentity";

/// So long a look is made again before anything was done: whoever is offline wants to know soon.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);
/// How soon after a look that saw nothing the next one is made.
pub(super) const PAUSE: Duration = Duration::from_secs(5);

/// Finds out whose credentials these are, and refuses those of another account before anything else is asked.
pub async fn sign_in(world: &World, policy: &Policy) -> Result<Reading<Identity>, Failure> {
    // Whoever cannot say whose the credentials are leaves time to look at what can be seen all the same.
    let limit = world.look * 2 / 3;
    let identity = within(limit, CALLER, async { world.cloud.identity().await.map(Some).into() }).await;
    if let Some(unseen) = identity.unreadable().filter(|u| u.because.is_sign_in()) {
        return Err(Failure::new(unseen.because.into(), nobody(unseen.because))
            .because(unseen.why.clone())
            .next(advice(unseen.because)));
    }
    if let (Some(found), Some(wanted)) = (identity.present(), &policy.account)
        && found.account != *wanted
    {
        return Err(Failure::new(Kind::NoAccess, "the credentials belong to another account")
            .because(format!("the platform is in account {wanted}, {} is of account {}", found.arn, found.account))
            .next("choose the right profile with `--profile`, or mend `platform.account` in meetctl.toml"));
    }
    Ok(identity)
}

/// What stands between this machine and the account.
const fn nobody(because: Blindness) -> &'static str {
    match because {
        Blindness::SignIn => "AWS does not accept the credentials",
        Blindness::ClockWrong => "AWS does not accept this machine's clock",
        _ => "there are no credentials for AWS",
    }
}

/// Looks where it is told to, everywhere at once. What is not looked at stays as it was last seen.
///
/// `stop` lets a media proof leave its room before it ends; other looks are simply dropped.
pub async fn observe(world: &World, sight: &Sight, look: &Look, last: Observed, stop: &CancellationToken) -> Observed {
    // All looks together are a large future, and every command has one.
    Box::pin(look_around(world, sight, look, last, stop)).await
}

/// Looks, and looks again while something that these conditions need could not be seen, and may be the next time.
pub(super) async fn observe_well(job: Job<'_>, look: &Look, conditions: &[Condition], mut seen: Observed) -> Observed {
    let until = Instant::now() + PATIENCE;
    loop {
        if seen.identity.unreadable().is_some_and(|unread| unread.because.may_pass())
            && let Ok(identity) = sign_in(job.world, job.policy).await
        {
            seen.identity = identity;
        }
        seen = observe(job.world, job.sight, look, seen, job.stop).await;
        let blind = |c: &Condition| matches!(c.judge(&seen, job.policy), Verdict::Unseen(u) if u.because.may_pass());
        if !conditions.iter().any(blind) || job.stop.is_cancelled() || Instant::now() + PAUSE >= until {
            return seen;
        }
        sleep(PAUSE).await;
    }
}

async fn look_around(world: &World, sight: &Sight, look: &Look, last: Observed, stop: &CancellationToken) -> Observed {
    let eyes = Eyes {
        world,
        sight,
        look,
        last: &last,
        stop,
        service: OnceCell::new(),
        balancer: OnceCell::new(),
        door: OnceCell::new(),
    };
    let (
        service,
        targets,
        tasks,
        balancer,
        record,
        secret,
        occupancy,
        names,
        tls,
        web,
        signalling,
        media,
        billed,
        managed,
        kept,
    ) = join!(
        eyes.service(),
        eyes.targets(),
        eyes.tasks(),
        eyes.balancer(),
        eyes.record(),
        eyes.secret(),
        eyes.occupancy(),
        eyes.names(),
        eyes.tls(),
        eyes.web(),
        eyes.signalling(),
        eyes.media(),
        eyes.billed(),
        eyes.managed(),
        eyes.kept(),
    );
    let mut seen = Observed {
        at: world.clock.now(),
        identity: last.identity.clone(),
        service: service.clone(),
        targets,
        tasks,
        balancer: balancer.clone(),
        record,
        secret,
        occupancy,
        names,
        tls,
        web,
        signalling,
        media,
        billed,
        managed,
        kept,
        run: last.run.clone(),
    };
    remember_health(&mut seen);
    let stands = vpc(&seen).map(str::to_owned);
    seen.run.vpc = stands.or(seen.run.vpc);
    seen
}

/// One look: several readings wait for the service, the load balancer or the door, each of which is read once.
struct Eyes<'a> {
    world: &'a World,
    sight: &'a Sight,
    look: &'a Look,
    last: &'a Observed,
    stop: &'a CancellationToken,
    service: OnceCell<Reading<Service>>,
    balancer: OnceCell<Reading<Balancer>>,
    door: OnceCell<Result<IpAddr, Unreadable>>,
}

impl Eyes<'_> {
    /// What was last seen, unless the look goes there.
    async fn fresh_or_last<T: Clone>(
        &self,
        source: Source,
        last: &Reading<T>,
        looking: impl Future<Output = Reading<T>>,
    ) -> Reading<T> {
        match source {
            _ if !self.look.has(source) => last.clone(),
            // These take minutes where all goes well, and end by themselves when they are asked to stop.
            Source::Media | Source::Managed => looking.await,
            _ => within(self.world.look, asked(source), looking).await,
        }
    }

    async fn service(&self) -> &Reading<Service> {
        let call = read(self.world.cloud.service());
        self.service.get_or_init(|| self.fresh_or_last(Source::Service, &self.last.service, call)).await
    }

    async fn balancer(&self) -> &Reading<Balancer> {
        let call = read(self.world.cloud.balancer());
        self.balancer.get_or_init(|| self.fresh_or_last(Source::Balancer, &self.last.balancer, call)).await
    }

    async fn tasks(&self) -> Reading<Vec<Task>> {
        let call = read(async { self.world.cloud.tasks().await.map(Some) });
        self.fresh_or_last(Source::Tasks, &self.last.tasks, call).await
    }

    async fn record(&self) -> Reading<Record> {
        let call = read(self.world.cloud.record());
        self.fresh_or_last(Source::Record, &self.last.record, call).await
    }

    async fn secret(&self) -> Reading<Secret> {
        let call = read(self.world.cloud.secret());
        self.fresh_or_last(Source::Secret, &self.last.secret, call).await
    }

    async fn occupancy(&self) -> Reading<Occupancy> {
        let since = self.world.clock.now() - SignedDuration::try_from(STALE).unwrap_or_default();
        let call = read(self.world.cloud.occupancy(since));
        self.fresh_or_last(Source::Occupancy, &self.last.occupancy, call).await
    }

    async fn billed(&self) -> Reading<Vec<Billed>> {
        let call = read(async { self.world.cloud.billed().await.map(Some) });
        self.fresh_or_last(Source::Billed, &self.last.billed, call).await
    }

    async fn managed(&self) -> Reading<Vec<String>> {
        self.fresh_or_last(Source::Managed, &self.last.managed, async {
            let Some(identity) = self.last.identity.present() else {
                return Reading::Unreadable(not_asked("nobody signed in"));
            };
            let errand = Errand { account: &identity.account, said: &|_| {}, stop: &CancellationToken::new() };
            self.world.terraform.managed(errand).await.into()
        })
        .await
    }

    /// Where there is a service, what a removal would leave shows nothing.
    async fn kept(&self) -> Reading<Vec<String>> {
        self.fresh_or_last(Source::Kept, &self.last.kept, async {
            if !self.service().await.is_absent() {
                return Reading::not_asked();
            }
            let call = async { self.world.cloud.kept().await.map(Some) };
            match read(call).await {
                Reading::Present(Kept { recordings, state }) => {
                    Reading::Present(recordings.into_iter().chain(state).collect())
                }
                Reading::Absent => Reading::Absent,
                Reading::Unreadable(why) => Reading::Unreadable(why),
            }
        })
        .await
    }

    /// The targets of every group that the service names.
    async fn targets(&self) -> Reading<Vec<TargetGroup>> {
        self.fresh_or_last(Source::Targets, &self.last.targets, async {
            let service = match self.service().await {
                Reading::Present(service) => service,
                Reading::Absent => return Reading::Absent,
                Reading::Unreadable(why) => return Reading::Unreadable(why.clone()),
            };
            let groups = join_all(service.target_groups.iter().map(|a| self.group(a))).await;
            groups.into_iter().collect::<Result<_, _>>().map(Some).into()
        })
        .await
    }

    async fn group(&self, attached: &Attachment) -> Result<TargetGroup, Unreadable> {
        match read(self.world.cloud.targets(&attached.group)).await {
            Reading::Unreadable(why) => Err(why),
            Reading::Absent => Ok(group_of(attached, Vec::new())),
            Reading::Present(targets) => Ok(group_of(attached, targets)),
        }
    }

    async fn names(&self) -> Reading<Resolution> {
        let balancer = async {
            match self.balancer().await {
                Reading::Present(it) => Some(Ok(it.dns_name.clone())),
                Reading::Absent => None,
                Reading::Unreadable(why) => Some(Err(why.clone())),
            }
        };
        let resolving = async {
            match self.led_nowhere().await {
                Some(why) => Reading::Unreadable(why),
                None => probe::dns::resolve(self.world.net.as_ref(), self.sight, balancer).await,
            }
        };
        self.fresh_or_last(Source::Names, &self.last.names, resolving).await
    }

    /// Why the name leads nowhere: while the platform is powered down nobody is asked for it, so that no resolver here
    /// remembers the placeholder.
    async fn led_nowhere(&self) -> Option<Unreadable> {
        let powered_down = self.service().await.present().is_some() && self.balancer().await.is_absent();
        powered_down.then(|| not_asked("the platform is powered down"))
    }

    /// Where people's browsers go: the first address of the name.
    async fn door(&self) -> Result<IpAddr, Unreadable> {
        self.door
            .get_or_init(|| async {
                if let Some(why) = self.led_nowhere().await {
                    return Err(why);
                }
                let found = probe::dns::local(self.world.net.as_ref(), self.sight, &self.sight.site.host).await?;
                match found.first() {
                    Some(&address) => Ok(address),
                    None => Err(not_asked("the name has no address")),
                }
            })
            .await
            .clone()
    }

    async fn tls(&self) -> Reading<Tls> {
        let shaking = self.behind(self.door(), async |door| probe::tls::shake(door).await);
        self.fresh_or_last(Source::Tls, &self.last.tls, shaking).await
    }

    async fn web(&self) -> Reading<Web> {
        let fetching = self.behind(self.open_door(), async |door| probe::https::pages(door).await);
        self.fresh_or_last(Source::Web, &self.last.web, fetching).await
    }

    async fn signalling(&self) -> Reading<Signalling> {
        let asking = self.behind(self.open_door(), async |door| {
            let resolver = Resolver { servers: self.sight.dns_servers.clone(), port: self.sight.dns_port };
            Box::pin(probe::signalling::preflight(door, &resolver)).await
        });
        self.fresh_or_last(Source::Signalling, &self.last.signalling, asking).await
    }

    /// A meeting of two synthetic participants. Tries are counted as long as they fail.
    async fn media(&self) -> Reading<Proof> {
        let proving = self.behind(self.open_door(), async |door| {
            let expected = self.media_addresses().await;
            let ask = Ask { addresses: door.addresses.to_vec(), expected, ..Ask::at(self.sight) };
            let ask = ask.within(self.world.look * 3 / 2);
            let proving = prove(&door.wire, &ask, self.stop, |_| ());
            let mut proof = Box::pin(proving).await;
            let failed = self.last.media.present().filter(|p| p.finding.is_some());
            proof.tries = failed.map_or(0, |p| p.tries) + 1;
            let code = |proof: &Proof| proof.finding.as_ref().map(|finding| finding.code);
            proof.repeated = failed.is_some_and(|before| code(before) == code(&proof));
            Reading::Present(proof)
        });
        self.fresh_or_last(Source::Media, &self.last.media, proving).await
    }

    /// The addresses that the bridge should advertise: the load balancer's, when media passes it.
    async fn media_addresses(&self) -> Vec<IpAddr> {
        let through_balancer =
            self.service().await.present().is_some_and(|s| s.target_groups.iter().any(|g| g.container == "jvb"));
        match self.balancer().await.present().filter(|_| through_balancer) {
            Some(balancer) => match balancer.dns_name.parse() {
                Ok(name) => probe::dns::local(self.world.net.as_ref(), self.sight, &name).await.unwrap_or_default(),
                Err(_) => Vec::new(),
            },
            None => Vec::new(),
        }
    }

    /// What a probe finds behind the door, when there is a way to it.
    async fn behind<T>(
        &self,
        address: impl Future<Output = Result<IpAddr, Unreadable>>,
        probe: impl AsyncFnOnce(&Door<'_>) -> Reading<T>,
    ) -> Reading<T> {
        let address = match address.await {
            Ok(address) => address,
            Err(why) => return Reading::Unreadable(why),
        };
        let door = Door {
            wire: Wire::from(self.world),
            site: &self.sight.site,
            endpoint: None,
            addresses: &[address],
            certificates: Certificates::Any,
            limits: self.sight.limits,
        };
        probe(&door).await
    }

    /// The door, when something should be behind it: pages are not asked for while nothing runs.
    async fn open_door(&self) -> Result<IpAddr, Unreadable> {
        if self.service().await.present().is_some_and(|s| s.desired == 0 && s.running == 0) {
            return Err(not_asked("nothing runs"));
        }
        self.door().await
    }
}

fn group_of(attached: &Attachment, targets: Vec<Target>) -> TargetGroup {
    TargetGroup { group: attached.group.clone(), container: attached.container.clone(), port: attached.port, targets }
}

fn not_asked(why: &str) -> Unreadable {
    Unreadable { because: Blindness::NotAsked, why: why.to_owned() }
}

/// Whom a look asks, as it is told when there is no answer.
const fn asked(source: Source) -> &'static str {
    match source {
        Source::Identity => CALLER,
        Source::Service => "ecs:DescribeServices",
        Source::Tasks => "ecs:ListTasks",
        Source::Balancer => "elasticloadbalancing:DescribeLoadBalancers",
        Source::Targets => "elasticloadbalancing:DescribeTargetHealth",
        Source::Record => "route53:ListResourceRecordSets",
        Source::Secret => "secretsmanager:DescribeSecret",
        Source::Occupancy => "logs:FilterLogEvents",
        Source::Billed | Source::Kept => "tag:GetResources",
        Source::Names => "the name servers",
        Source::Tls => "TLS",
        Source::Web => "the web page",
        Source::Signalling => "signalling",
        Source::Media => "media",
        Source::Managed => "Terraform",
    }
}

/// A look within the limit, whatever the limits are of those who do it.
async fn within<T>(limit: Duration, what: &str, looking: impl Future<Output = Reading<T>>) -> Reading<T> {
    match timeout(limit, looking).await {
        Ok(reading) => reading,
        Err(_) => Reading::Unreadable(Unreadable {
            because: Blindness::Unreachable,
            why: format!("{what}: no answer within {} s", (limit.as_secs_f64() * 10.0).round() / 10.0),
        }),
    }
}

/// One call to AWS as a reading.
async fn read<T>(call: impl Future<Output = Result<Option<T>, CloudError>>) -> Reading<T> {
    call.await.into()
}

/// Notes since when the running task has been healthy in every look.
fn remember_health(seen: &mut Observed) {
    let healthy = seen.task().filter(|t| t.is_running() && t.health == Health::Healthy).map(|t| t.id.clone());
    let before = seen.run.healthy_since.take();
    seen.run.healthy_since = healthy.map(|id| match before {
        Some((same, since)) if same == id => (id, since),
        Some(_) | None => (id, seen.at),
    });
}
