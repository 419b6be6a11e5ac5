-- Notifies the first of those who wait and live. A: how many at most, then perhaps: waiter's member or '', the
-- entry of one who asks whether it has been notified, and what it does: 'wait', 'leave', or 'withdraw', which
-- gives its notification to another one.
-- {how many were, 1 if the entry was notified, 0 if it waits, 2 if it is lost}
local number, changed = tonumber(A[1]), false
whatever_memory()

-- What the dead were notified of and did not take goes to others.
for _, entry in ipairs(call('HKEYS', K[4])) do
  if not alive(string.match(entry, '^[^:]*')) then
    call('HDEL', K[4], entry)
    number, changed = number + 1, true
  end
end

local outcome = 0
if A[3] then
  local notified = call('HEXISTS', K[4], A[3]) == 1
  local waits = not notified and call('ZSCORE', K[3], A[3])
  outcome = notified and 1 or waits and 0 or 2
  if A[4] == 'wait' then
    if waits then
      -- By whom to wake it.
      call('HSET', K[5], A[3], (string.match(A[2], '^[^@]*')))
      wait(K[2], A[2])
    end
  else
    if notified and A[4] == 'withdraw' then number = number + 1 end
    call('HDEL', K[4], A[3])
    call('ZREM', K[3], A[3])
    call('HDEL', K[5], A[3])
    leave(K[2], A[2])
    changed = true
  end
end

local notified, wake, at = 0, 0, 0
while notified < number do
  local entry = call('ZRANGE', K[3], at, at)[1]
  if not entry then break end
  if A[3] == entry and A[4] == 'wait' and outcome == 0 then
    outcome = 1
  end
  local member = call('HGET', K[5], entry)
  if alive(string.match(entry, '^[^:]*')) then
    call('HSET', K[4], entry, 1)
    notified = notified + 1
    -- To the front of those who sleep, who are then woken.
    if member then wake = wake + call('ZADD', K[2], 'XX', 'CH', notified, member) end
  elseif member then
    call('ZREM', K[2], member)
  end
  call('ZREM', K[3], entry)
  call('HDEL', K[5], entry)
  changed = true
end
if wake > 0 then ring(K[2], wake) end
return {notified, outcome}, changed
