//! From the world to an observation: all independent looks at once, each with its own limit.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::reach::Job;
use crate::domain::condition::{Condition, STALE, Source, Verdict};
use crate::domain::meeting::Proof;
use crate::domain::observed::{
    Attachment, Balancer, Blindness, Identity, Observed, Reading, Resolution, Service, Signalling, Target, TargetGroup,
    Tls, Unreadable, Web,
};
use crate::domain::plan::Policy;
use crate::domain::view::View;
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
        sources.extend(conditions.iter().map(|c| c.rule()).filter(|rule| rule.first_look).flat_map(|rule| rule.needs));
        Self(sources)
    }

    /// What is needed to judge these conditions.
    pub fn at<'c>(conditions: impl IntoIterator<Item = &'c Condition>) -> Self {
        Self(conditions.into_iter().flat_map(|c| c.rule().needs).copied().collect())
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
        let view = View::single(&seen, job.policy);
        let blind = |c: &Condition| matches!(c.judge(&view).verdict, Verdict::Unseen(u) if u.because.may_pass());
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
    let found = join_all(look.0.iter().map(|source| eyes.look_at(*source))).await;
    drop(eyes);
    let mut seen = Observed { at: world.clock.now(), ..last };
    for fill_in in found {
        fill_in(&mut seen);
    }
    seen
}

/// What a look at one source has found, to be filled in.
type Found = Box<dyn FnOnce(&mut Observed)>;

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
    /// One line a source: how it is looked at, and what it fills in.
    fn look_at(&self, source: Source) -> Pin<Box<dyn Future<Output = Found> + '_>> {
        let cloud = &self.world.cloud;
        match source {
            // Whose credentials these are is found out before anything else is asked.
            Source::Identity => Box::pin(async { Box::new(|_: &mut Observed| {}) as Found }),
            Source::Service => fill(async { self.service().await.clone() }, |seen, it| seen.service = it),
            Source::Balancer => fill(async { self.balancer().await.clone() }, |seen, it| seen.balancer = it),
            Source::Tasks => self.call(source, all(cloud.tasks()), |seen, it| seen.tasks = it),
            Source::Record => self.call(source, cloud.record(), |seen, it| seen.record = it),
            Source::Secret => self.call(source, cloud.secret(), |seen, it| seen.secret = it),
            Source::Occupancy => self.call(source, cloud.occupancy(self.fresh_since()), |seen, it| seen.occupancy = it),
            Source::Billed => self.call(source, all(cloud.billed()), |seen, it| seen.billed = it),
            Source::Targets => self.within(source, self.targets(), |seen, it| seen.targets = it),
            Source::Kept => self.within(source, self.kept(), |seen, it| seen.kept = it),
            Source::Names => self.within(source, self.names(), |seen, it| seen.names = it),
            Source::Tls => self.within(source, self.tls(), |seen, it| seen.tls = it),
            Source::Web => self.within(source, self.web(), |seen, it| seen.web = it),
            Source::Signalling => self.within(source, self.signalling(), |seen, it| seen.signalling = it),
            // These take minutes where all goes well, and end by themselves when they are asked to stop.
            Source::Media => fill(self.media(), |seen, it| seen.media = it),
            Source::Managed => fill(self.managed(), |seen, it| seen.managed = it),
        }
    }

    fn within<'e, T: 'static>(
        &'e self,
        source: Source,
        looking: impl Future<Output = Reading<T>> + 'e,
        into: fn(&mut Observed, Reading<T>),
    ) -> Pin<Box<dyn Future<Output = Found> + 'e>> {
        fill(within(self.world.look, asked(source), looking), into)
    }

    /// One call to AWS as a reading.
    fn call<'e, T: 'static>(
        &'e self,
        source: Source,
        call: impl Future<Output = Result<Option<T>, CloudError>> + 'e,
        into: fn(&mut Observed, Reading<T>),
    ) -> Pin<Box<dyn Future<Output = Found> + 'e>> {
        self.within(source, read(call), into)
    }

    /// As it was last seen, where the look does not go to it.
    async fn service(&self) -> &Reading<Service> {
        let looking = async {
            if !self.look.has(Source::Service) {
                return self.last.service.clone();
            }
            within(self.world.look, asked(Source::Service), read(self.world.cloud.service())).await
        };
        self.service.get_or_init(|| looking).await
    }

    /// As it was last seen, where the look does not go to it.
    async fn balancer(&self) -> &Reading<Balancer> {
        let looking = async {
            if !self.look.has(Source::Balancer) {
                return self.last.balancer.clone();
            }
            within(self.world.look, asked(Source::Balancer), read(self.world.cloud.balancer())).await
        };
        self.balancer.get_or_init(|| looking).await
    }

    /// What was written before says nothing any more.
    fn fresh_since(&self) -> Timestamp {
        self.world.clock.now() - SignedDuration::try_from(STALE).unwrap_or_default()
    }

    async fn managed(&self) -> Reading<Vec<String>> {
        let Some(identity) = self.last.identity.present() else {
            return Reading::Unreadable(not_asked("nobody signed in"));
        };
        let errand = Errand { account: &identity.account, said: &|_| {}, stop: &CancellationToken::new() };
        self.world.terraform.managed(errand).await.into()
    }

    /// Where there is a service, what a removal would leave shows nothing.
    async fn kept(&self) -> Reading<Vec<String>> {
        if !self.service().await.is_absent() {
            return Reading::not_asked();
        }
        match read(all(self.world.cloud.kept())).await {
            Reading::Present(Kept { recordings, state }) => {
                Reading::Present(recordings.into_iter().chain(state).collect())
            }
            Reading::Absent => Reading::Absent,
            Reading::Unreadable(why) => Reading::Unreadable(why),
        }
    }

    /// The targets of every group that the service names.
    async fn targets(&self) -> Reading<Vec<TargetGroup>> {
        let service = match self.service().await {
            Reading::Present(service) => service,
            Reading::Absent => return Reading::Absent,
            Reading::Unreadable(why) => return Reading::Unreadable(why.clone()),
        };
        let groups = join_all(service.target_groups.iter().map(|a| self.group(a))).await;
        groups.into_iter().collect::<Result<_, _>>().map(Some).into()
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
        match self.led_nowhere().await {
            Some(why) => Reading::Unreadable(why),
            None => probe::dns::resolve(self.world.net.as_ref(), self.sight, balancer).await,
        }
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
        self.behind(self.door(), async |door| probe::tls::shake(door).await).await
    }

    async fn web(&self) -> Reading<Web> {
        self.behind(self.open_door(), async |door| probe::https::pages(door).await).await
    }

    async fn signalling(&self) -> Reading<Signalling> {
        self.behind(self.open_door(), async |door| {
            let resolver = Resolver { servers: self.sight.dns_servers.clone(), port: self.sight.dns_port };
            Box::pin(probe::signalling::preflight(door, &resolver)).await
        })
        .await
    }

    /// A meeting of two synthetic participants. Tries are counted as long as they fail.
    async fn media(&self) -> Reading<Proof> {
        self.behind(self.open_door(), async |door| {
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
        })
        .await
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

/// Where an empty list is an answer as well.
async fn all<T>(call: impl Future<Output = Result<T, CloudError>>) -> Result<Option<T>, CloudError> {
    call.await.map(Some)
}

fn fill<'e, T: 'static>(
    looking: impl Future<Output = Reading<T>> + 'e,
    into: fn(&mut Observed, Reading<T>),
) -> Pin<Box<dyn Future<Output = Found> + 'e>> {
    Box::pin(async move {
        let found = looking.await;
        Box::new(move |seen: &mut Observed| into(seen, found)) as Found
    })
}

/// One call to AWS as a reading.
async fn read<T>(call: impl Future<Output = Result<Option<T>, CloudError>>) -> Reading<T> {
    call.await.into()
}
