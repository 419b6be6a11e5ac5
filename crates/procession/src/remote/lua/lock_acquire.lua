-- Takes a lock that is free, or whose holder's lease is over; a reentrant one also once more. What a process left
-- held when it ended on purpose is held by 'nobody'.
-- A: waiter's member or '', thread, who is asking, depth to have it at, the token that this thread believes it
-- holds a reentrant lock by or ''.
-- {1, token, depth, me, the holder that was lost or false, its who, what became of it, by how much it is deeper};
-- {0}: held;
-- {2}: what the token stands for is lost.
local was = call('HMGET', K[1], 'kind', 'holder', 'thread', 'token', 'who', 'why')
if not was[1] then return redis.error_reply('PROCESSIONGONE ' .. K[1]), false end
local holder, token = was[2], was[4]
local again = was[1] == 'rlock' and holder == me and was[3] == A[2]
if A[5] ~= '' and not (again and token == A[5]) then return {2}, false end
if again then
  return {1, tonumber(token), call('HINCRBY', K[1], 'depth', A[4]), me, false, '', '', A[4]}, true, false
end
if holder and (holder == 'nobody' or alive(holder)) then
  wait(K[2], A[1])
  return {0}, false, false
end
-- The clock is in it, so that tokens grow on even where the server has forgotten the last ones.
local time = call('TIME')
local next = math.max((tonumber(token) or 0) + 1, time[1] * 1000000 + time[2])
token = string.format('%.0f', next)
call('HSET', K[1], 'holder', me, 'thread', A[2], 'token', token, 'who', A[3], 'depth', A[4])
if was[6] then call('HDEL', K[1], 'why') end
leave(K[2], A[1])
return {1, next, tonumber(A[4]), me, holder, was[5] or '', was[6] or '', A[4]}, true, false
