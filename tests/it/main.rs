//! One test binary: links once, starts fast.

mod config;
mod render;
mod stable;
