//! From the moment at which the platform is truly ready to the moment at which `up` says so, over many slow starts; and
//! beside it, on the same timelines, a waiter that looks every 15 s at counts alone.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use meetctl::config::Config;
use meetctl::domain::goal::Goal;
use meetctl::domain::plan::Policy;
use meetctl::engine::{self, Job};
use meetctl::event::Events;
use meetctl::world::World;
use meetctl::world::sandbox::{self, Story, Tally};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{fact, line, quantile, seconds, sorted};

const SEEDS: u64 = 200;

/// How a waiter ended on one timeline.
enum Said {
    /// It said "ready" this long after it was true.
    After(Duration),
    /// It said "ready" this long before it was true.
    Before(Duration),
    Nothing,
}

#[derive(Default)]
struct Sum {
    late: Vec<Duration>,
    early: Vec<Duration>,
    gave_up: u32,
    /// Requests to AWS, and the simulated seconds in which they were made.
    requests: u64,
    time: Duration,
}

impl Sum {
    fn note(&mut self, said: &Said) {
        match *said {
            Said::After(by) => self.late.push(by),
            Said::Before(by) => self.early.push(by),
            Said::Nothing => self.gave_up += 1,
        }
    }

    fn tell(self, who: &str, target: Option<Duration>) {
        let (late, early) = (sorted(self.late), sorted(self.early));
        if late.is_empty() {
            fact(&format!("{who}: right"), "never");
        } else {
            let slow = quantile(&late, 0.95);
            fact(&format!("{who}: later than the truth, p50"), &seconds(quantile(&late, 0.5)));
            let what = format!("{who}: later than the truth, p95");
            match target {
                Some(target) => line(&what, &seconds(slow), &seconds(target), slow <= target),
                None => fact(&what, &seconds(slow)),
            }
            fact(&format!("{who}: later than the truth, max"), &seconds(quantile(&late, 1.0)));
        }
        let wrong = early.len();
        fact(&format!("{who}: said it too early"), &format!("{wrong} of {SEEDS}"));
        if wrong > 0 {
            fact(&format!("{who}: too early by, p50"), &seconds(quantile(&early, 0.5)));
        }
        fact(&format!("{who}: gave up"), &format!("{} of {SEEDS}", self.gave_up));
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let rate = self.requests as f64 / self.time.as_secs_f64();
        let measured = format!("{rate:.2}/s");
        match target {
            Some(_) => line(&format!("{who}: requests to AWS"), &measured, "2/s", rate <= 2.0),
            None => fact(&format!("{who}: requests to AWS"), &measured),
        }
    }
}

pub(crate) fn run() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        fact("slow starts played", &SEEDS.to_string());
        let policy = Config::sandbox().policy();
        let (mut up, mut proven, mut waiter) = (Sum::default(), Sum::default(), Sum::default());
        for seed in 0..SEEDS {
            by_meetctl(seed, &Policy { media: false, ..policy.clone() }, &mut up).await;
            by_meetctl(seed, &Policy { media: true, ..policy.clone() }, &mut proven).await;
            by_counts(seed, &mut waiter).await;
        }
        up.tell("up", Some(Duration::from_secs(2)));
        proven.tell("up with a meeting", None);
        waiter.tell("15 s x 40", None);
    });
}

async fn by_meetctl(seed: u64, policy: &Policy, sum: &mut Sum) {
    let (world, handle) = sandbox::world(Story::named("slow-start").expect("a story"), None, seed);
    let (world, tally) = sandbox::tallied(world, None);
    let sight = Config::sandbox().sight().expect("the sandbox has a domain");
    let (say, _said) = Events::new(world.clock);
    let stop = CancellationToken::new();
    let began = world.clock.now();
    let timeout = Duration::from_mins(25);
    let job = Job { world: &world, sight: &sight, policy, say: &say, stop: &stop, timeout, shown: None, wait: true };
    let ended = Box::pin(engine::reach(job, Goal::Running)).await;
    let now = world.clock.now();
    sum.note(&match (ended, handle.ready_at()) {
        (Ok(_), Some(ready)) => judged(ready, now),
        (Ok(_), None) => Said::Before(Duration::MAX),
        (Err(_), _) => Said::Nothing,
    });
    sum.requests += requests(&tally);
    sum.time += span(now.duration_since(began));
}

/// `aws ecs wait services-stable`: one deployment, and as many tasks running as desired; 40 looks, 15 s apart.
async fn by_counts(seed: u64, sum: &mut Sum) {
    let (world, handle) = sandbox::world(Story::named("slow-start").expect("a story"), None, seed);
    let (world, tally) = sandbox::tallied(world, None);
    let began = world.clock.now();
    world.cloud.start().await.expect("a start is accepted");
    let stable = stable(&world).await;
    let now = world.clock.now();
    // When it is wrong, the truth comes later.
    sleep(Duration::from_mins(15)).await;
    let ready = handle.ready_at().expect("a slow start goes well in the end");
    sum.note(&if stable { judged(ready, now) } else { Said::Nothing });
    sum.requests += requests(&tally);
    sum.time += span(now.duration_since(began));
}

async fn stable(world: &World) -> bool {
    for _ in 0..40 {
        let service = world.cloud.service().await.expect("readable").expect("a service");
        if service.deployments.len() == 1 && service.running == service.desired {
            return true;
        }
        sleep(Duration::from_secs(15)).await;
    }
    false
}

fn judged(ready: Timestamp, said: Timestamp) -> Said {
    if said < ready {
        Said::Before(span(ready.duration_since(said)))
    } else {
        Said::After(span(said.duration_since(ready)))
    }
}

fn span(signed: SignedDuration) -> Duration {
    Duration::try_from(signed).unwrap_or_default()
}

/// The requests behind the port's calls: a look at the tasks is two lists and a description, and so on.
fn requests(tally: &Tally) -> u64 {
    let weight = |method: &str| match method {
        "cloud.tasks" => 3,
        "cloud.balancer" | "cloud.record" | "cloud.mark" => 2,
        method if method.starts_with("cloud.") => 1,
        _ => 0,
    };
    let calls: BTreeMap<&'static str, u64> = tally.calls();
    calls.iter().map(|(method, n)| weight(method) * n).sum()
}
