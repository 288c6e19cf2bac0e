-- Read after Jitsi's own files in conf.d; what stands here is global.

-- A laptop that was closed leaves a ghost in its room. It shall be gone after half a minute, not a whole one: until
-- then the meeting counts as going on.
bosh_max_inactivity = 30

-- Notices connections that died in silence.
c2s_tcp_keepalives = true
