-- Takes the lowest messages. A: how many at most, whom there is to wake at the other end (see vacate), the waiter.
-- Returns how many, and their members; 0: there are none; -1: there will be none.
local found = call('ZPOPMIN', K[2], few(tonumber(A[1]), 'ZCARD'))
if not found[1] then return nothing(A[3]) end
local taken, sum = {#found / 2}, 0
for i = 1, #found, 2 do
  local member = found[i]
  taken[#taken + 1] = member
  sum = sum + #member - struct.unpack('>I4', member, #member - 3) - 5
end
vacate(taken[1], sum, A[2], A[3])
return taken, true, false
