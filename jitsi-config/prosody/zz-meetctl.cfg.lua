-- Read after Jitsi's own files in conf.d; what stands here is global.

-- A laptop that was closed leaves a ghost in its room, and until it is gone the meeting counts as going on. Browsers
-- that come over the WebSocket may come back into their session for so long; then it is gone (Jitsi has a minute).
smacks_hibernation_time = 30

-- The same for those who come over BOSH.
bosh_max_inactivity = 30

-- Notices connections of jicofo and the bridge that died in silence.
c2s_tcp_keepalives = true
