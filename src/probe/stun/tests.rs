use proptest::prelude::*;

use super::*;

/// RFC 5769, sections 2.1 to 2.3.
const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";
const REQUEST_2_1: &str = "
    00 01 00 58 21 12 a4 42 b7 e7 a7 01 bc 34 d6 86 fa 87 df ae
    80 22 00 10 53 54 55 4e 20 74 65 73 74 20 63 6c 69 65 6e 74
    00 24 00 04 6e 00 01 ff
    80 29 00 08 93 2f f9 b1 51 26 3b 36
    00 06 00 09 65 76 74 6a 3a 68 36 76 59 20 20 20
    00 08 00 14 9a ea a7 0c bf d8 cb 56 78 1e f2 b5 b2 d3 f2 49 c1 b5 71 a2
    80 28 00 04 e5 7a 3b cf";
const RESPONSE_2_2: &str = "
    01 01 00 3c 21 12 a4 42 b7 e7 a7 01 bc 34 d6 86 fa 87 df ae
    80 22 00 0b 74 65 73 74 20 76 65 63 74 6f 72 20
    00 20 00 08 00 01 a1 47 e1 12 a6 43
    00 08 00 14 2b 91 f5 99 fd 9e 90 c3 8c 74 89 f9 2a f9 ba 53 f0 6b e7 d7
    80 28 00 04 c0 7d 4c 96";
const RESPONSE_2_3: &str = "
    01 01 00 48 21 12 a4 42 b7 e7 a7 01 bc 34 d6 86 fa 87 df ae
    80 22 00 0b 74 65 73 74 20 76 65 63 74 6f 72 20
    00 20 00 14 00 02 a1 47 01 13 a9 fa a5 d3 f1 79 bc 25 f4 b5 be d2 b9 d9
    00 08 00 14 a3 82 95 4e 4b e6 7b f1 17 84 c9 7c 82 92 c2 75 bf e3 ed 41
    80 28 00 04 c8 fb 0b 4c";

fn bytes(hex: &str) -> Vec<u8> {
    hex.split_whitespace().map(|b| u8::from_str_radix(b, 16).expect("two hex digits")).collect()
}

#[test]
fn the_request_of_the_standard() {
    let wanted = bytes(REQUEST_2_1);
    let message = Message::read(&wanted).expect("a good message");
    assert_eq!(message.find(USERNAME), Some(&b"evtj:h6vY"[..]));
    assert!(message.is_signed_with(PASSWORD.as_bytes()));
    assert!(!message.is_signed_with(b"another"));

    let mut writer = Writer::new(REQUEST, message.transaction);
    writer.attribute(0x8022, b"STUN test client");
    writer.attribute(PRIORITY, &0x6e00_01ff_u32.to_be_bytes());
    writer.attribute(CONTROLLED, &0x932f_f9b1_5126_3b36_u64.to_be_bytes());
    writer.attribute(USERNAME, b"evtj:h6vY");
    // The standard pads with spaces here, to show that padding is not checked.
    let end = writer.bytes.len();
    writer.bytes[end - 3..].fill(b' ');
    writer.integrity(PASSWORD.as_bytes());
    writer.fingerprint();
    assert_eq!(writer.bytes, wanted);
}

#[test]
fn the_responses_of_the_standard() {
    for (response, mapped) in
        [(RESPONSE_2_2, "192.0.2.1:32853"), (RESPONSE_2_3, "[2001:db8:1234:5678:11:2233:4455:6677]:32853")]
    {
        let reply = read_reply(&bytes(response), PASSWORD).expect("a good message");
        assert_eq!(reply.outcome, Outcome::Success);
        assert!(reply.authentic);
        assert_eq!(reply.mapped, Some(mapped.parse().expect("an address")));
        assert!(!read_reply(&bytes(response), "another").expect("a good message").authentic);
    }
}

#[test]
fn a_changed_bit_is_noticed() {
    let good = bytes(RESPONSE_2_2);
    // What comes after the signature does not count.
    for at in 0..(good.len() - 8) * 8 {
        let mut bad = good.clone();
        bad[at / 8] ^= 1 << (at % 8);
        // A bit of an attribute's kind may hide the fingerprint; the signature shows it all the same.
        assert!(read_reply(&bad, PASSWORD).is_none_or(|reply| !reply.authentic), "bit {at}");
    }
}

#[test]
fn another_implementation_reads_our_checks() {
    let check =
        Check { transaction: *b"twelve bytes", username: "theirs:ours", priority: 7, tie_breaker: 9, password: "pw" };
    let encoded = check.encode();
    let message = str0m::ice::StunMessage::parse(&encoded).expect("a good message");
    assert!(message.is_binding_request());
    assert_eq!(message.split_username(), Some(("theirs", "ours")));
    assert_eq!((message.prio(), message.ice_controlled(), message.ice_controlling()), (Some(7), Some(9), None));
    let hmac = |key: &[u8], parts: &[&[u8]]| sign(key, parts).finalize().into_bytes().into();
    assert!(message.verify(b"pw", hmac));
    assert!(!message.verify(b"wp", hmac));
}

proptest! {
    #[test]
    fn any_bytes_are_survived(datagram in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read_reply(&datagram, PASSWORD);
    }

    #[test]
    fn any_attributes_are_survived(
        kind in prop_oneof![Just(SUCCESS), Just(FAILURE), any::<u16>()],
        attributes in proptest::collection::vec((prop_oneof![
            Just(USERNAME), Just(INTEGRITY), Just(ERROR), Just(XOR_MAPPED), Just(FINGERPRINT), any::<u16>()
        ], proptest::collection::vec(any::<u8>(), 0..40)), 0..8),
        cut in 0_usize..4,
    ) {
        let mut writer = Writer::new(kind, [7; 12]);
        for (kind, value) in &attributes {
            writer.attribute(*kind, value);
        }
        let whole = writer.bytes.len();
        let _ = read_reply(&writer.bytes[..whole - cut], PASSWORD);
    }

    #[test]
    fn what_is_written_can_be_read(
        username in "[a-zA-Z0-9]{1,20}:[a-zA-Z0-9]{1,20}", password in "[ -~]{0,80}",
        transaction in any::<[u8; 12]>(), priority: u32, tie_breaker: u64,
    ) {
        let check = Check { transaction, username: &username, priority, tie_breaker, password: &password };
        let encoded = check.encode();
        let message = Message::read(&encoded).expect("a good message");
        prop_assert!(message.is_signed_with(password.as_bytes()));
        prop_assert_eq!(message.find(USERNAME), Some(username.as_bytes()));
        prop_assert_eq!(message.transaction, transaction);
    }
}
