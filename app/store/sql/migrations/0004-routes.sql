-- Through which other relays a relay of ours is reached, as contacts were told.
ALTER TABLE relays ADD COLUMN routes BLOB;   -- circuit multiaddrs, see list.go; NULL: none

-- Through which relay a deposit went.
ALTER TABLE evidence ADD COLUMN via BLOB;   -- PeerID of the relay; NULL: straight
