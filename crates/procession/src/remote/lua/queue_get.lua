-- Takes messages from an end of a row. A: LPOP or RPOP, how many at most, whom there is to wake at the other
-- end (see vacate), the waiter. Returns how many, and these; 0: there are none; -1: there will be none.
local taken
if A[2] == '1' then
  local message = call(A[1], K[2])
  if message then taken = {1, message} end
else
  local found = call(A[1], K[2], few(tonumber(A[2]), 'LLEN'))
  if found and found[1] then taken = {#found, unpack(found)} end
end
if not taken then return nothing(A[4]) end
local n, sum = taken[1], 0
for i = 2, n + 1 do sum = sum + #taken[i] - 1 end
vacate(n, sum, A[3], A[4])
return taken, true, false
