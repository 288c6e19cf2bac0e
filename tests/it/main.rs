//! One test binary: it links once and starts fast.

mod probes;
