//! What the stack consists of: the containers of the task, its ports and its health checks, named once.

/// The containers without which the task ends. The occupancy sidecar may fail.
pub const ESSENTIAL: [&str; 4] = ["web", "prosody", "jicofo", "jvb"];

/// What the load balancer asks: for people who look after it.
pub const HEALTH_CHECKS: &str = "web on 8000 at /, the bridge on 8080 at /about/health";
