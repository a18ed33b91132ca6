"""Tasks as Ray's, on this machine or wherever a cluster has room: the only room that imports Ray."""
