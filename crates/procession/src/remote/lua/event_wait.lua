-- Whether it is set, or was since. A: waiter's member or '', how often it had been set or ''.
-- {1}; {0, how often it was set}.
local was = call('HMGET', K[1], 'set', 'times')
local times = was[2] or '0'
if was[1] == '1' or (A[2] ~= '' and A[2] ~= times) then
  leave(K[2], A[1])
  return {1}, false, false
end
wait(K[2], A[1])
return {0, tonumber(times)}, false, false
