//! XMPP over WebSocket: elements, the login, and the connection under it.

pub mod caps;
pub mod login;
pub mod ns;
pub mod parse;
pub mod socket;
pub mod stanza;
pub mod xml;

pub use self::xml::Element;
