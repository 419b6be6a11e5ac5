-- Enters one who will wait: from now on it can be notified. A: what tells it from this client's others.
-- {its entry, me}
local entry = me .. ':' .. A[1]
local place = call('HINCRBY', K[1], 'places', 1)
call('ZADD', K[3], place, entry)
return {entry, me}
