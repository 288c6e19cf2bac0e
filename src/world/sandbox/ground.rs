//! What the sandbox's ports share, and what a session of it looks like from outside.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use rustls::ServerConfig;
use serde::{Deserialize, Serialize};

use super::certificates;
use super::cloud::SandboxCloud;
use super::jitsi::{Faults, Jitsi, Setup};
use super::model::{EPOCH, Groups, Model, PLATFORM, REGION, Stack};
use super::net::{BALANCER, SandboxNet};
use super::servers::Meeting;
use super::stories::Story;
use super::task::Job;
use super::terraform::SandboxTerraform;
use crate::clock::Clock;
use crate::domain::name::{PlatformName, Region};
use crate::world::{LONGEST_LOOK, World};

/// The platform and its time.
pub(super) struct Ground {
    pub story: Story,
    /// What is wrong with the story's Jitsi.
    pub faults: Faults,
    pub clock: Clock,
    pub tls: Arc<ServerConfig>,
    pub meeting: Option<Arc<dyn Meeting>>,
    model: Mutex<Model>,
    /// What is in the account where another platform or region is asked for: nothing.
    elsewhere: Option<Mutex<Model>>,
}

/// How far the containers behind the load balancer are, as whoever connects finds out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Front {
    pub web: bool,
    pub prosody: bool,
    pub bridge: bool,
}

impl Ground {
    /// Looks at the platform as it is now.
    pub(super) fn read<T>(&self, look: impl FnOnce(&Model, Timestamp) -> T) -> T {
        self.change(|model, now| look(model, now))
    }

    /// Changes the platform as it is now.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Model, Timestamp) -> T) -> T {
        self.change_in(&self.model, change)
    }

    /// The same as whoever asks AWS or Terraform sees it: under the name and in the region that were asked for.
    pub(super) fn change_account<T>(&self, change: impl FnOnce(&mut Model, Timestamp) -> T) -> T {
        self.change_in(self.elsewhere.as_ref().unwrap_or(&self.model), change)
    }

    pub(super) fn is_elsewhere(&self) -> bool {
        self.elsewhere.is_some()
    }

    fn change_in<T>(&self, model: &Mutex<Model>, change: impl FnOnce(&mut Model, Timestamp) -> T) -> T {
        let now = self.clock.now();
        let mut model = model.lock().unwrap_or_else(PoisonError::into_inner);
        model.settle(now);
        change(&mut model, now)
    }

    /// `None` when the load balancer has no target to pass a connection on to. It does not care for a target's health.
    pub(super) fn front(&self) -> Option<Front> {
        self.read(|model, now| {
            let registered = |job: &&Job| !job.is_ending(now) && job.reached(job.path.activating, now);
            let job = model.jobs.iter().rev().filter(|_| model.stack.groups == Groups::Attached).find(registered)?;
            Some(Front {
                web: job.serves("web", now),
                prosody: job.serves("prosody", now),
                bridge: job.serves("jvb", now),
            })
        })
    }
}

/// A session of the sandbox as it is kept between two invocations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saved {
    pub version: u32,
    /// The simulated time.
    pub now: Timestamp,
    pub model: Model,
}

impl Saved {
    /// Grows when a state of before can no longer be read.
    pub const VERSION: u32 = 2;
}

/// A view on a running sandbox from outside of the simulated world.
#[derive(Clone)]
pub struct Handle {
    ground: Arc<Ground>,
}

impl Handle {
    /// The state to keep, with its simulated time.
    pub fn saved(&self) -> Saved {
        self.ground.read(|model, now| Saved { version: Saved::VERSION, now, model: model.clone() })
    }

    pub fn story(&self) -> Story {
        self.ground.story
    }

    /// From when on all of the current start truly works, whatever anybody says; `None` when nothing was started,
    /// its task does not exist yet, or it will not work.
    pub fn ready_at(&self) -> Option<Timestamp> {
        self.ground.read(Model::ready_at)
    }

    pub fn front(&self) -> Option<Front> {
        self.ground.front()
    }

    /// Lets people enter a room of the running task, for so many minutes.
    pub fn people_join(&self, people: u32, minutes: i64) {
        self.ground.change(|model, now| model.people_join(people, minutes, now));
    }
}

/// The bridge's address inside of its network, and its port for media.
const BRIDGE: [u8; 4] = [10, 0, 1, 27];
const MEDIA_PORT: u16 = 10_000;

/// The simulated world of a story: where it was left, or its beginning. To be called on a paused clock.
pub fn world(story: Story, saved: Option<Saved>, seed: u64) -> (World, Handle) {
    world_with(story, saved, seed, Some(Arc::new(Jitsi::new(jitsi_of(story, seed)))))
}

/// The same for whoever asks for this platform in this region: the account has only its own.
pub fn world_for(
    story: Story,
    saved: Option<Saved>,
    seed: u64,
    name: &PlatformName,
    region: &Region,
) -> (World, Handle) {
    let elsewhere = (name.as_str(), region.as_str()) != (PLATFORM, REGION);
    let meeting: Arc<dyn Meeting> = Arc::new(Jitsi::new(jitsi_of(story, seed)));
    build(story, saved, seed, Some(meeting), elsewhere.then_some(name))
}

/// How the Jitsi of a story is set up.
pub fn jitsi_of(story: Story, seed: u64) -> Setup {
    let bridge = (IpAddr::from(BRIDGE), MEDIA_PORT).into();
    Setup { seed, ..Setup::new(bridge, (BALANCER[0], MEDIA_PORT).into()) }.story(story)
}

/// The same with a meeting's emulator behind the web container and the bridge's port.
pub fn world_with(story: Story, saved: Option<Saved>, seed: u64, meeting: Option<Arc<dyn Meeting>>) -> (World, Handle) {
    build(story, saved, seed, meeting, None)
}

/// `other`: the platform that is asked for, where that is not the story's own.
fn build(
    story: Story,
    saved: Option<Saved>,
    seed: u64,
    meeting: Option<Arc<dyn Meeting>>,
    other: Option<&PlatformName>,
) -> (World, Handle) {
    let (now, model) = match saved {
        Some(saved) if saved.model.story == story => (saved.now, saved.model),
        Some(_) | None => (EPOCH, story.opening(seed)),
    };
    let clock = Clock::starting_at(now);
    let (trust, tls) = certificates::mint(story, clock).expect("fixed keys and names make a certificate");
    let elsewhere = other.map(|_| Mutex::new(Model { stack: Stack::default(), ..Model::deployed(story, seed) }));
    let faults = jitsi_of(story, seed).faults;
    let ground = Arc::new(Ground { story, faults, clock, tls, meeting, model: Mutex::new(model), elsewhere });
    let cloud = Box::new(SandboxCloud::new(Arc::clone(&ground), seed));
    let terraform = Box::new(SandboxTerraform::new(Arc::clone(&ground), other));
    let net = Box::new(SandboxNet::new(Arc::clone(&ground)));
    (World { cloud, terraform, net, clock, trust, seed, look: LONGEST_LOOK }, Handle { ground })
}
