-- A: LLEN or ZCARD. Returns length, bytes, how many are not done, whether it is shut down, and nothing in flight.
local meta = call('HMGET', K[1], 'bytes', 'todo', 'closed')
return {call(A[1], K[2]), tonumber(meta[1] or 0), tonumber(meta[2] or 0), tonumber(meta[3] or 0), 0}, false, false
