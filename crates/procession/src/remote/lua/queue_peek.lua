-- Looks at the message that would be taken next. A: LINDEX and the place, or ZRANGE; the waiter.
local seen
if A[1] == 'ZRANGE' then seen = call('ZRANGE', K[2], 0, 0)[1] else seen = call('LINDEX', K[2], A[2]) end
if not seen then return nothing(A[3]) end
seen_by(A[3])
return {1, seen}, false
