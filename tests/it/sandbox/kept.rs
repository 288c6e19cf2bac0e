//! What is around a sandbox: its state between two invocations, the count of calls, and the pace.

use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use meetctl::world::sandbox::store::{Store, StoreError};
use meetctl::world::sandbox::{self, Saved};
use tokio::time::sleep;

use super::{SEED, host, live, open, start};

use crate::story;

mod store {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_story_goes_on_where_it_was_left() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::new(directory.path().join("not/yet/there"));
        assert!(store.load(story("standby")).expect("nothing is no error").is_none());
        let (world, handle) = open(story("standby"));
        start(&world, &handle).await;
        let left = world.clock.now();
        store.save(&handle.saved()).expect("kept");

        let saved = store.load(story("standby")).expect("readable").expect("kept");
        assert_eq!(saved, handle.saved());
        let (world, handle) = sandbox::world(story("standby"), Some(saved), 99);
        assert_eq!(world.clock.now(), left);
        assert!(handle.ready_at().is_some_and(|at| at <= left));
        assert_eq!(live(&*world.cloud).await.len(), 1);
        assert!(store.load(story("running")).expect("nothing is no error").is_none(), "each story has its own");

        store.forget(story("standby")).expect("forgotten");
        store.forget(story("standby")).expect("forgetting twice is no error");
        assert!(store.load(story("standby")).expect("nothing is no error").is_none());
    }

    /// One plays and the others wait, each in its own story; whoever is gone has left no lock behind.
    #[test]
    fn a_story_is_played_by_one_at_a_time() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::new(directory.path().join("not/yet/there"));
        let (soon, at_once) = (Duration::from_millis(120), Duration::ZERO);
        let held = store.lock(story("standby"), at_once).expect("nobody plays");
        assert!(matches!(store.lock(story("standby"), soon), Err(StoreError::Busy { .. })));
        assert!(store.lock(story("running"), at_once).is_ok(), "another story");
        drop(held);
        let held = store.lock(story("standby"), at_once).expect("nobody plays any more");
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| store.lock(story("standby"), Duration::from_secs(20)).is_ok());
            drop(held);
            assert!(waiting.join().expect("no panic"), "it waits for its turn");
        });
        // A file of an earlier holder is no lock.
        let path = directory.path().join("not/yet/there/sandbox-standby.lock");
        std::fs::write(path, "4711").expect("written");
        assert!(store.lock(story("standby"), at_once).is_ok());
        let blocked = Store::new(directory.path().join("file"));
        std::fs::write(directory.path().join("file"), "").expect("written");
        assert!(matches!(blocked.lock(story("standby"), soon), Err(StoreError::Unusable { .. })));
    }

    #[tokio::test(start_paused = true)]
    async fn a_state_of_no_use_is_an_error_and_no_panic() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::new(directory.path());
        let (_, handle) = open(story("standby"));
        let good = serde_json::to_value(handle.saved()).expect("it can be written");
        let mut bad: Vec<Vec<u8>> = vec![b"".into(), b"{".into(), b"[]".into(), b"null".into(), vec![0xff; 40]];
        let changes = [
            ("/now", "9999-01-01T00:00:00Z".into()),
            ("/now", "1970-01-01T00:00:00Z".into()),
            ("/now", "yesterday".into()),
            ("/model/story", "running".into()),
            ("/model/story", "no-such-story".into()),
            ("/model/asks", serde_json::json!([{"at": "now"}])),
            ("/model/seed", (-1).into()),
            ("/version", "one".into()),
        ];
        for (place, value) in changes {
            let mut state = good.clone();
            *state.pointer_mut(place).expect("it is there") = value;
            bad.push(state.to_string().into_bytes());
        }
        for text in bad {
            std::fs::write(store.path(story("standby")), &text).expect("written");
            let found = store.load(story("standby"));
            assert!(matches!(found, Err(StoreError::Damaged { .. })), "{}: {found:?}", String::from_utf8_lossy(&text));
        }
        let mut newer = good.clone();
        newer["version"] = (Saved::VERSION + 1).into();
        newer["shape"] = "of the future".into();
        std::fs::write(store.path(story("standby")), newer.to_string()).expect("written");
        assert!(
            matches!(store.load(story("standby")), Err(StoreError::Newer { found, .. }) if found == Saved::VERSION + 1)
        );

        std::fs::remove_file(store.path(story("standby"))).expect("removed");
        std::fs::create_dir(store.path(story("standby"))).expect("made");
        assert!(matches!(store.load(story("standby")), Err(StoreError::Unusable { .. })));
        assert!(store.save(&handle.saved()).is_err());
        assert_eq!(std::fs::read_dir(directory.path()).expect("readable").count(), 1, "no draft is left");
    }

    /// Whatever times and numbers a readable state has, looking at it does not panic.
    #[tokio::test(start_paused = true)]
    async fn an_absurd_state_does_not_panic() {
        let (world, handle) = open(story("out-of-memory"));
        world.cloud.start().await.expect("accepted");
        sleep(Duration::from_secs(200)).await;
        let good = serde_json::to_value(handle.saved()).expect("it can be written");
        for (place, value) in [
            ("/model/asks/1/at", serde_json::json!("9999-12-30T00:00:00Z")),
            ("/model/asks/1/at", serde_json::json!("-009999-01-02T01:59:59Z")),
            ("/model/jobs/0/path/running", u64::MAX.into()),
            ("/model/jobs/0/path/activating", u64::MAX.into()),
            ("/model/jobs/0/path/lives", serde_json::json!({})),
            ("/model/jobs/0/ending/at", serde_json::json!("9999-12-30T00:00:00Z")),
            ("/model/jobs/0/ending/draining", u64::MAX.into()),
            ("/model/launched", u64::MAX.into()),
            ("/model/deployed", u64::MAX.into()),
            ("/model/asks", serde_json::json!([])),
        ] {
            let mut state = good.clone();
            *state.pointer_mut(place).unwrap_or_else(|| panic!("{place} is there")) = value;
            let Ok(saved) = serde_json::from_value(state) else { continue };
            let (world, handle) = sandbox::world(story("out-of-memory"), Some(saved), SEED);
            for _ in 0..10 {
                let _ = (world.cloud.service().await, world.cloud.tasks().await, handle.ready_at());
                let _ = world.cloud.occupancy(Timestamp::MIN).await;
                sleep(Duration::from_secs(30)).await;
            }
            let _ = (world.cloud.start().await, world.cloud.stop().await);
        }
    }
}

mod tally {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_nth_call_fails_whichever_port_it_is_on() {
        for nth in 1..=4 {
            let (world, tally) = sandbox::tallied(open(story("running")).0, Some(nth));
            let failed = [
                world.cloud.identity().await.is_err(),
                world.net.resolve(&host()).await.is_err(),
                world.cloud.service().await.is_err(),
                world.net.udp(IpAddr::V4(sandbox::RESOLVER)).await.is_err(),
            ];
            let number = usize::try_from(nth).expect("small");
            assert_eq!(failed.iter().position(|f| *f), Some(number - 1));
            assert_eq!(failed.iter().filter(|f| **f).count(), 1);
            assert_eq!((tally.total(), tally.to_the_cloud()), (4, 2));
            assert_eq!(tally.calls().get("cloud.service"), Some(&1));
        }
    }
}

mod pace {
    use super::*;
    use std::num::NonZeroU32;

    #[test]
    fn simulated_time_passes_at_its_pace() {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
        #[expect(clippy::disallowed_methods, reason = "the pace is measured in real time")]
        let began = std::time::Instant::now();
        runtime.block_on(async {
            let simulated = tokio::time::Instant::now();
            sandbox::pace::paced(NonZeroU32::new(600), sleep(Duration::from_mins(1))).await;
            let passed = simulated.elapsed();
            assert!((60..70).contains(&passed.as_secs()), "{passed:?}");
        });
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(90) && took < Duration::from_secs(5), "{took:?}");
    }
}
