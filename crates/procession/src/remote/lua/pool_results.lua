-- What became of tasks, for the pool's owner. A: the waiter; how many results he has had in all; how many he takes
-- at most, and bytes of them. Done twice it does what it does once.
local taken, had = tonumber(call('HGET', K[1], 'taken') or 0), tonumber(A[2])
if had > taken then
  -- First, since a server without memory refuses the other one as a script's first.
  call('LTRIM', K[5], had - taken, -1)
  call('HSET', K[1], 'taken', had)
end
local found, bytes = {}, 0
while #found < tonumber(A[3]) and bytes < tonumber(A[4]) do
  local one = call('LINDEX', K[5], #found)
  if not one then break end
  found[#found + 1] = one
  bytes = bytes + #one
end
if #found == 0 then
  wait(K[7], A[1])
else
  leave(K[7], A[1])
end
return found, false
