//! Many participants at once.

use std::time::Duration;

use meetctl::domain::meeting::Proven;

use super::support::{ask, prove_in_memory, setup};

#[tokio::test(start_paused = true)]
async fn rooms_of_two_and_of_three() {
    for (participants, size, rooms, flows) in [(6, 2, 3, 6), (6, 3, 2, 12), (5, 5, 1, 20), (3, 2, 2, 4)] {
        let mut ask = ask().rehearsal(participants, size, Duration::from_secs(4));
        ask.limits.join_spacing = Duration::from_millis(20);
        let (proof, _) = prove_in_memory(setup(), &ask).await;
        assert_eq!(proof.finding, None, "{proof:#?}");
        assert_eq!(proof.proven(), Some(Proven::Media));
        assert_eq!(proof.flows.len(), flows, "{participants} in {rooms} rooms");
        assert!(proof.flows.iter().all(|f| (f.sent, f.lost) == (175, 0)), "{:#?}", proof.flows);
    }
}
