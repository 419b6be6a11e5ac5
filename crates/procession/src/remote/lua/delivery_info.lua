-- Returns how many wait, their bytes, how many are not done, whether the queue is shut down, how many are in flight.
local meta = call('HMGET', K[1], 'bytes', 'closed')
return {call('ZCARD', K[2]), tonumber(meta[1] or 0), call('HLEN', K[6]), tonumber(meta[2] or 0), call('ZCARD', K[8])}, false
