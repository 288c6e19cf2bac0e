//! The offline tests: one binary, no network but loopback, no AWS.

mod layers;
