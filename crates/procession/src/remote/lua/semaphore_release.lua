-- Adds permits, or none if there were too many then. A: how many. {1}; {0}: too many.
local was = call('HMGET', K[1], 'value', 'max', 'kind')
if not was[3] then return redis.error_reply('PROCESSIONGONE ' .. K[1]), false end
if tonumber(was[1] or 0) + tonumber(A[1]) > tonumber(was[2] or 0) then return {0}, false end
whatever_memory()
call('HINCRBY', K[1], 'value', A[1])
ring(K[2], tonumber(A[1]))
return {1}, true, false
