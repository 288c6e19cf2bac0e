//! What a client can do, and the hash that says it in short (XEP-0115).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

use super::{Element, ns};

/// An identity and features.
#[derive(Clone, Debug)]
pub struct Caps {
    pub category: &'static str,
    pub kind: &'static str,
    pub name: &'static str,
    pub features: &'static [&'static str],
}

impl Caps {
    /// `ver`: base64 of the SHA-1 of the identity and the sorted features.
    pub fn hash(&self) -> String {
        let mut features = self.features.to_vec();
        features.sort_unstable();
        let mut input = format!("{}/{}//{}<", self.category, self.kind, self.name);
        for feature in features {
            input.push_str(feature);
            input.push('<');
        }
        STANDARD.encode(Sha1::digest(input.as_bytes()))
    }

    /// The answer to the question of what we can do.
    pub fn disco(&self, node: Option<&str>) -> Element {
        let identity = Element::new("identity", ns::DISCO_INFO)
            .with("category", self.category)
            .with("type", self.kind)
            .with("name", self.name);
        let features = self.features.iter().map(|f| Element::new("feature", ns::DISCO_INFO).with("var", *f));
        let query = Element::new("query", ns::DISCO_INFO);
        match node {
            Some(node) => query.with("node", node),
            None => query,
        }
        .and(identity)
        .and_all(features)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_standard() {
        let exodus = Caps {
            category: "client",
            kind: "pc",
            name: "Exodus 0.9.1",
            features: &[
                "http://jabber.org/protocol/disco#info",
                "http://jabber.org/protocol/disco#items",
                "http://jabber.org/protocol/muc",
                "http://jabber.org/protocol/caps",
            ],
        };
        assert_eq!(exodus.hash(), "QgayPKawpkPSDYmwT/WM94uAlu0=");
    }
}
