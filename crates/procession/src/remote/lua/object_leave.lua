-- Who waited gives up. If he had been woken, the next one is. A: the waiter, the place among the keys.
local waiters = K[tonumber(A[2])]
if call('ZREM', waiters, A[1]) == 0 then ring(waiters, 1) end
return {0}, false
