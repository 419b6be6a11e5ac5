-- Leaves a lock to the next one, who is told. A: token, thread, a holder that does not live, its who, what became
-- of it or ''. {1}; {0}: the hold was over already.
local was = call('HMGET', K[1], 'holder', 'thread', 'token')
if was[1] ~= me or was[2] ~= A[2] or was[3] ~= A[1] then return {0}, false end
whatever_memory()
call('HSET', K[1], 'holder', A[3], 'thread', '', 'who', A[4], 'depth', 1)
if A[5] ~= '' then call('HSET', K[1], 'why', A[5]) end
ring(K[2], 1)
return {1}
