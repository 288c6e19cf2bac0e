//! meetctl.
